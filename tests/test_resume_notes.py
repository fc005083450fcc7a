"""What a training that goes on says of its data, and leaves in its folder."""

import json

import pytest
from test_resume import OFTEN, breaks

NOTED = [*OFTEN, "trainer.max_steps=6", "trainer.accumulate_grad_batches=2", "hydra.run.dir=run"]
NOTE = "note: trainer.accumulate_grad_batches=2"


@pytest.mark.slow
@pytest.mark.parametrize("notes", ["true", "false"])
def test_a_training_that_goes_on_keeps_the_description_of_its_data_and_repeats_no_note(
    command, tmp_path, capsys, notes
):
    with pytest.raises(SystemExit, match="on purpose"):
        command("train", *NOTED, "notes=true", breaks(5), tiny=False)
    assert NOTE in capsys.readouterr().out
    described = (tmp_path / "run/data.yaml").read_bytes()
    assert "note: " not in command("train", "resume=run", f"notes={notes}", tiny=False)
    assert (tmp_path / "run/data.yaml").read_bytes() == described


def test_a_training_that_finds_no_checkpoint_to_go_on_from_describes_its_data(command, tmp_path):
    assert NOTE in command("train", *NOTED, "notes=true", "checkpoint.resume=true", tiny=False)
    assert (tmp_path / "run/data.yaml").exists()


@pytest.mark.slow
def test_the_time_of_a_checkpoint_is_added_to_that_of_the_run(command, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("autosegloss.training.checkpoints.Checkpoints.seconds", 1000.0)
        with pytest.raises(SystemExit, match="on purpose"):
            command("train", *NOTED, breaks(5), tiny=False)
    command("train", "resume=run", tiny=False)
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert 1000 < result["fit_seconds"] < result["seconds"] < 1100
