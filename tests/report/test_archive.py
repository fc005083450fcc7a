"""Which runs and searches are found, which of them count, and how the page lists the others."""

import os

import pytest
from conftest import SEARCH
from helpers.run_folders import SIX, page, write_run, write_search

from autosegloss.report.archive import Archive
from autosegloss.training.outcome import Result

# --- seeds, and runs that fill no row ------------------------------------------------------------------------------


def test_of_two_runs_with_a_seed_the_newer_counts_and_the_page_says_so(tmp_path):
    old = write_run(tmp_path / "old", scores={"miou": 0.1})
    os.utime(old / "result.json", (1, 1))
    write_run(tmp_path / "new", scores={"miou": 0.5})
    write_run(tmp_path / "other", scores={"miou": 0.7}, seed=1)
    table = page("2", tmp_path)
    cell = table.sections["PASCAL VOC"]["Cross-entropy"]["miou"]
    assert (cell.count, cell.mean) == (2, pytest.approx(60))
    assert any("old" in note and "is left out: its seed 0" in note and "new" in note for note in table.notes)


def test_a_try_out_leaves_the_run_with_its_seed_in_the_cell_and_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.utime(write_run(tmp_path / "runs/real", scores={"miou": 0.5}) / "result.json", (1, 1))
    write_run(tmp_path / "runs/newer", scores={"miou": 0.1}, values={"trainer.max_steps": 1, "data.crop": [32, 32]})
    table = page("2", tmp_path / "runs")
    cell = table.sections["PASCAL VOC"]["Cross-entropy"]["miou"]
    assert (cell.count, cell.mean) == (1, pytest.approx(50))
    (note,) = (note for note in table.notes if "runs/newer" in note)
    assert note == (
        "deviates, 1 in all:\n  - runs/newer (loss=cross_entropy, data=voc_full, network=deeplabv3plus_r101, "
        "metric=miou): trainer.max_steps is 1, not 10000; data.crop is [32, 32], not [512, 512]"
    )


@pytest.mark.parametrize(("name", "what"), [("2", "runs"), ("fig3", "searches")])
def test_folders_without_anything_are_told(tmp_path, monkeypatch, name, what):
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    assert f"no {what} found below a, b" in page(name, tmp_path / "a", tmp_path / "b").notes
    assert not any("found below" in note for note in page(name).notes)
    write_run(tmp_path / "a/run")
    write_search(tmp_path / "b/search", 0, "PPO", [[0.5]])
    assert not any("found below" in note for note in page(name, tmp_path / "a", tmp_path / "b").notes)


def test_the_rest_is_listed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "runs/foreign", data="shapes")
    write_run(tmp_path / "runs/lost", loss="searched", theta="gone.yaml")
    write_run(tmp_path / "runs/going", scores=None)
    torn = write_run(tmp_path / "runs/torn")
    (torn / "result.json").write_text('{"scores"')
    for index in range(12):
        write_run(tmp_path / f"runs/many/{index:02}", loss="focal", seed=index)
    text = page("2", tmp_path / "runs").markdown()
    assert "- not in this table, 14 in all:\n  - runs/foreign (loss=cross_entropy, data=shapes, " in text
    assert (
        "runs/lost (loss=searched, data=voc_full, network=deeplabv3plus_r101, metric=miou, its theta card is gone)"
        in text
    )
    assert "  - and 4 more\n" in text
    assert "- no result yet, 1 in all:\n  - runs/going\n" in text
    assert "- could not be read, 1 in all:\n  - runs/torn (JSONDecodeError: " in text


def test_a_folder_given_twice_counts_once(tmp_path):
    write_run(tmp_path / "runs/0")
    assert len(Archive.of([tmp_path, tmp_path / "runs", tmp_path / "runs/0"]).runs) == 1


# --- searches ------------------------------------------------------------------------------------------------------


def test_steps_are_averaged_over_the_searches(tmp_path):
    write_search(tmp_path / "p0", 0, "PPO", [[0.1, 0.3], [0.4, 0.6], [0.2, 0.2]])
    write_search(tmp_path / "p1", 1, "PPO", [[0.3, 0.5], [0.5, 0.5]])
    write_search(tmp_path / "r0", 0, "RandomSearch", [[0.2, 0.4]])
    rows = page("fig3", tmp_path).sections["Scores"]
    assert list(rows) == ["step 1", "step 2", "step 3"]
    values = {
        step: [cells[f"PPO2, {kind}"].mean for kind in ("mean", "best mean", "best trial")]
        for step, cells in rows.items()
    }
    assert values["step 1"] == pytest.approx([30, 30, 40])
    assert values["step 2"] == pytest.approx([50, 50, 55])
    assert values["step 3"] == pytest.approx([20, 50, 60])  # one search has 3 steps
    assert [cells["random, mean"].count for cells in rows.values()] == [1, 0, 0]
    assert [cells["PPO2, mean"].count for cells in rows.values()] == [2, 2, 1]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data.size", [256, 256]),
        ("data.score_at", "masks"),
        ("data.holdout", 16),
        ("trainer.max_steps", 2000),
        ("network.encoder_name", "resnet18"),
        ("network.encoder_weights", None),
        ("curve._target_", "autosegloss.curves.Linear"),
        ("curve.truth_table", False),
        ("curve.monotone", False),
        ("hydra.sweeper.steps", 2),
        ("hydra.sweeper.samples", 4),
    ],
)
def test_a_search_of_another_table_leaves_figure_3_alone(tmp_path, key, value):
    os.utime(write_search(tmp_path / "real", 0, "PPO", [[0.5]]) / "state.json", (1, 1))
    write_search(tmp_path / "other", 0, "PPO", [[0.1]], values={key: value})
    table = page("fig3", tmp_path)
    cell = table.sections["Scores"]["step 1"]["PPO2, mean"]
    assert (cell.count, cell.mean) == (1, pytest.approx(50))
    (note,) = (note for note in table.notes if note.startswith("deviates, 1 in all:"))
    assert f"other: {key} is " in note


def test_a_search_for_another_metric_is_no_deviation(tmp_path):
    write_search(tmp_path / "biou", 0, "PPO", [[0.1]], values={"metric._target_": "autosegloss.formulas.BoundaryIoU"})
    notes = page("fig3", tmp_path).notes
    assert any(note.startswith("not in this table, 1 in all:") for note in notes)
    assert not any(note.startswith("deviates") for note in notes)


@pytest.mark.slow
def test_a_real_search_and_a_real_training_are_read(command, monkeypatch, tmp_path):
    """Folders that the programs write; results are given instead of trained."""

    def pretended(cfg, directory, **_):
        Result(SIX, {}, 0.1).save(directory)
        return Result.load(directory)

    monkeypatch.setattr("autosegloss.cli.jobs.run_in_subprocess", pretended)
    monkeypatch.setattr("autosegloss.cli.jobs.run_inline", pretended)
    monkeypatch.setattr("autosegloss.report.summary.write_figures", lambda *_: None)
    command("search", *SEARCH[:-1], "hydra.sweeper.comparison_seeds=[4]", "hydra.sweep.dir=found")
    command("train", "loss=searched_bf1", "trainer.enable_progress_bar=false", "hydra.run.dir=trained")
    archive = Archive.of([tmp_path])
    runs = {str(run.path.relative_to(tmp_path)): run for run in archive.runs}
    rows = ("cross-entropy", "identity", "searched")
    assert set(runs) == {"trained", *(f"found/comparison/{row}/seed_4" for row in rows)}
    assert not archive.unfinished
    assert not archive.unreadable
    (card,) = runs["found/comparison/searched/seed_4"].cards
    assert (card["found_on"], card["metric"]["name"], card["curve"]["name"]) == ("Shapes", "macc", "bezier")
    assert [card["found_on"] for card in runs["trained"].cards] == ["PASCAL VOC 2012"]
    assert runs["trained"].choices["loss"] == "searched_bf1"
    assert {run.seed for run in archive.runs} == {0, 4}
    assert archive.searches[0].config.hydra.sweeper.strategy._target_ == "autosegloss.search.PPO"
    (tmp_path / "found").rename(tmp_path / "moved")
    moved = {run.path.parent.name: run.cards for run in Archive.of([tmp_path / "moved"]).runs}
    assert moved["searched"] == (card,)
