"""What a search checks before its first trial: every run that it will need, and its data."""

import json
import re

import numpy as np
import pytest
import yaml
from conftest import SEARCH
from helpers.commands import composed
from helpers.members import slow
from helpers.searches import FEW
from PIL import Image

from autosegloss.formulas import PAPER
from autosegloss.training.check import check_runs
from autosegloss.training.outcome import Checked, Failure, Planned
from hydra_plugins.autosegloss_sweeper._candidates import given_candidates
from hydra_plugins.autosegloss_sweeper.config import SweeperConf

FOLDER = [
    "data=folder",
    "data.root=pictures",
    "data.source.classes=3",
    "data.size=32",
    "data.batch_size=4",
    "data.holdout=4",
    "trainer.max_steps=1",
    "trainer.accelerator=cpu",
    "network.decoder_channels=16",
    "hydra.sweep.dir=found",
]
TABLE = "hydra.sweeper.comparison_seeds=[0]"


@pytest.fixture
def pictures(tmp_path):
    """Folders of pairs in train/ and test/ without a val/; no mask has class 2."""
    noise = np.random.default_rng(0)
    for split in ("train", "test"):
        for kind, values in {"images": 256, "masks": 2}.items():
            folder = tmp_path / "pictures" / split / kind
            folder.mkdir(parents=True)
            for number in range(12):
                size = (32, 32, 3) if kind == "images" else (32, 32)
                Image.fromarray(noise.integers(0, values, size, dtype=np.uint8)).save(folder / f"{number}.png")
    return tmp_path


def planned(*overrides: str, devices: int = 1) -> Planned:
    return Planned(composed("search", list(overrides)), devices, 1)


SMALL = ["data.source.train=8", "data.source.val=4", "data.source.test=0", "data.source.size=32", "data.holdout=4"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.batch_size=5"], "late: 4 training samples do not fill one batch of 5"),
        (["loss=searched", "loss.theta=none.yaml"], "late: there is no theta card at none.yaml"),
        (["metric=biou", "metric.width=-1"], "late: .*width"),
        *slow(
            [
                (["optimizer.lr=0"], "late: optimizer.lr must be a number of 0 or more"),
                (["seed=-1"], "late: seed must be a whole number of 0 or more, got -1"),
                (["+trainer.overfit_batches=1"], "late: trainer.overfit_batches would take images out of the hold-out"),
            ]
        ),
    ],
)
def test_every_run_is_made_and_a_mistake_names_it(overrides, message):
    common = [*SMALL, "data.batch_size=4"]
    found = check_runs({"first": planned(*common), "late": planned(*common, *overrides)})
    assert isinstance(found, Failure)
    assert found.kind == "mistake"
    assert re.match(message, found.message), found.message


@pytest.mark.parametrize("metric", PAPER)
def test_a_search_for_any_metric_compares_with_all_losses_made_by_hand(metric):
    cfg = composed("search", [f"metric={metric}"])
    found = given_candidates(SweeperConf(candidates=cfg.hydra.sweeper.candidates), metric, (0.5,) * 12)
    hand_made = ["cross-entropy", "weighted-cross-entropy", "focal", "dice", "jaccard", "lovasz", "mixed"]
    assert [each.name for each in found] == [*hand_made, "identity", "released"]


def test_the_devices_of_a_run_need_images_each():
    found = check_runs({"trials": planned(*SMALL, "data.batch_size=4", devices=2)})
    assert isinstance(found, Failure)
    assert "do not fill one batch of 4 on each of 2 devices" in found.message


def test_the_data_are_described_in_plain_types():
    found = check_runs({"trials": planned(*SMALL, "data.batch_size=4")})
    assert isinstance(found, Checked)
    assert yaml.safe_load(yaml.safe_dump(found.data)) == found.data
    assert found.data["images"] == {"train": 8, "val": 4, "test": 0, "held out": 4}
    assert len(found.data["classes"]) == 6


def test_a_search_without_the_images_of_its_table_ends_before_its_first_trial(command, pictures, trainings):
    """With train/ and test/ alone the trials have their hold-out, and the table has no val/ to score on."""
    with pytest.raises(SystemExit) as ended:
        command("search", *SEARCH, *FOLDER, TABLE, tiny=False)
    assert str(ended.value).startswith(
        "error: comparison/cross-entropy/seed_0: the data have no 'val' split: set data."
    )
    assert str(ended.value).endswith("hydra.sweeper.comparison_seeds=[] leaves the table out")
    assert "\n" not in str(ended.value)
    assert not trainings.directories
    assert not (pictures / "found").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "remedy",
    [
        ["hydra.sweeper.comparison_seeds=[]"],
        [TABLE, 'hydra.sweeper.comparison_common=["data.holdout=4","trainer.max_steps=1"]'],
    ],
)
def test_its_remedies_work(command, pictures, trainings, remedy):
    command("search", *SEARCH, *FOLDER, *remedy, tiny=False)
    assert len(trainings.directories) >= 4


@pytest.mark.slow
def test_a_recommendation_without_a_validation_split_stands_on_the_hold_out_and_says_so(command, pictures):
    final = ["hydra.sweeper.finalists=1", "hydra.sweeper.final_seeds=1", *FEW]
    command("search", *SEARCH, *FOLDER, *final, tiny=False)
    record = json.loads((pictures / "found/recommendation.json").read_text())
    assert (record["chosen_on"], record["scored_on"]) == ("holdout", "holdout")
    page = (pictures / "found/comparison.md").read_text()
    assert "## Hold-out" in page
    assert "there is no validation split that no choice has seen" in page


@pytest.mark.slow
def test_a_search_says_once_what_is_doubtful_about_its_data_and_keeps_it(command, pictures, trainings):
    search = [*SEARCH, *FOLDER]
    trainings.interrupted = 2
    with pytest.raises(SystemExit, match="interrupted"):
        command("search", *search, tiny=False)
    described = yaml.safe_load((pictures / "found/data.yaml").read_text())
    assert described["images"] == {"train": 12, "val": 0, "test": 12, "held out": 4}
    assert any("class 2" in doubt for doubt in described["warnings"])
    trainings.interrupted = None
    out = command("search", "resume=found", tiny=False)
    assert out.count("note: images are") == 1  # the first search printed it; the resumed one was checked before


@pytest.mark.parametrize(
    ("setting", "where"),
    [
        ("warmup", "hydra.sweeper.warmup sets this run"),
        *slow([("final", "the trainings of candidates have settings of their own, hydra.sweeper.final, which")]),
    ],
)
def test_a_fault_of_the_runs_around_the_trials_names_their_setting(command, pictures, trainings, setting, where):
    fault = [f'hydra.sweeper.{setting}=["data.batch_size=100"]', "hydra.sweeper.finalists=1"]
    with pytest.raises(SystemExit, match=f"do not fill one batch of 100: .*; {where}"):
        command("search", *SEARCH, *FOLDER, *fault, tiny=False)
    assert not trainings.directories


def test_a_training_says_what_is_doubtful_about_its_data_and_keeps_it(command, pictures):
    train = [argument for argument in FOLDER if not argument.startswith("hydra")]
    out = command("train", *train, "trainer.enable_progress_bar=false", "hydra.run.dir=run", tiny=False)
    described = yaml.safe_load((pictures / "run/data.yaml").read_text())
    for kind in ("note", "warning"):
        told = [line.removeprefix(f"{kind}: ") for line in out.splitlines() if line.startswith(f"{kind}: ")]
        assert told == described[f"{kind}s"]
    assert any("class 2" in doubt for doubt in described["warnings"])


@pytest.mark.slow
def test_the_process_of_the_check_trains_afterwards(command, pictures):
    assert command("search", *SEARCH, *FOLDER, tiny=False).count("is of class 2") == 1
    assert not list((pictures / "found").rglob("step_*/data.yaml"))
    assert len(list((pictures / "found").rglob("result.json"))) == 4
