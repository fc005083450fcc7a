"""The paper's experiments: their commands compose, and each trains a step on its data set in miniature."""

import re

import pytest
from helpers import miniatures
from helpers.commands import composed, single_runs
from helpers.commands import experiment_commands as commands
from helpers.members import CONF
from hydra.utils import instantiate

from autosegloss.training.outcome import Result
from autosegloss.training.run import make_loss

EXPERIMENTS = {path.stem: path.read_text() for path in sorted((CONF / "experiment").glob("*.yaml"))}
SMALL = [
    "data.batch_size=2",
    "data.num_workers=0",
    "network.encoder_name=resnet18",
    "network.encoder_weights=null",
    "trainer=default",
    "trainer.max_steps=1",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
    "threads=1",
]
every_experiment = pytest.mark.parametrize("name", EXPERIMENTS)


def program_of(name):
    """The program of the first command that takes the experiment."""
    return next(program for program, overrides in commands(name) if f"experiment={name}" in overrides)


@every_experiment
def test_the_header_says_what_it_is(name):
    text = EXPERIMENTS[name]
    assert text.startswith("# @package _global_\n# ")
    assert any(f"experiment={name}" in overrides for _, overrides in commands(name))
    assert "Expected:" in text
    if name.startswith("table"):
        assert re.search(r"\b(Paper|Published numbers): ", text)
    if name.startswith(("table", "fig")):
        number = re.match(r"(table)?(\w*?\d)", name)[2]
        assert f"python -m autosegloss.report table {number} " in text


@pytest.mark.slow
@every_experiment
def test_its_commands_compose_for_every_value(name):
    for program, overrides in commands(name):
        for run in single_runs(overrides):
            cfg = composed(program, run)
            instantiate(cfg.metric)
            instantiate(cfg.curve)
            if not any("theta=" in override for override in run):  # a card of the user's
                make_loss(cfg, ignore_index=255)


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    miniatures.voc(root)
    miniatures.sbd(root / "SBD")
    miniatures.cityscapes(root)
    return root


@pytest.mark.slow
@every_experiment
def test_it_takes_a_step(name, command, roots, tmp_path):
    if program_of(name) == "train":
        overrides = ["data.crop=[32,32]", "hydra.run.dir=out"]
    else:
        overrides = ["data.size=[32,32]", "data.holdout=1", "hydra.mode=RUN", "hydra.run.dir=out"]
    command(program_of(name), f"experiment={name}", f"data.root={roots}", *SMALL, *overrides, tiny=False)
    scores = Result.load(tmp_path / "out").scores
    assert set(scores) == {"gacc", "macc", "miou", "fwiou", "biou", "bf1"}
    assert 0 < scores["gacc"] + scores["macc"] < 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["table5", "table6", "table7"])
def test_the_retraining_after_a_search_is_that_of_table_2(name, command, roots, tmp_path):
    """The overrides of the trials do not change it."""
    typed = [f"experiment={name}", f"data.root={roots}", "data.size=[256,256]", "trainer=gpu", "trainer.max_steps=7"]
    common = composed("search", typed).hydra.sweeper.comparison_common
    retraining, row = (
        composed(program, overrides)
        for program, overrides in (
            ("search", [*typed, *common, "loss=searched", "loss.theta=miou"]),
            ("train", ["experiment=table2_voc", f"data.root={roots}"]),
        )
    )
    for key in ("data", "network", "auxiliary", "optimizer", "schedule", "threads"):
        assert retraining[key] == row[key]
    for key in ("max_steps", "devices", "strategy", "precision"):
        assert retraining.trainer[key] == row.trainer[key]
    tiny = [*typed, *common, "loss=searched", "loss.theta=miou", *SMALL, "data.crop=[32,32]", "hydra.mode=RUN"]
    command("search", *tiny, "trainer.devices=1", "hydra.run.dir=out", tiny=False)
    assert (tmp_path / "out/result.json").exists()


def test_all_of_the_data_set_trains_but_what_the_search_holds_out():
    for name, holdout in (("table2_voc", None), ("search_voc", 1500), ("search_cityscapes", 500)):
        assert composed(program_of(name), [f"experiment={name}"]).data.holdout == holdout


@pytest.mark.parametrize(
    ("name", "trainer"), [("table2_voc", "gpu"), ("table2_cityscapes", "default"), ("table4", "gpu")]
)
def test_a_row_takes_4_devices_unless_another_trainer_is_chosen(name, trainer):
    assert composed("train", [f"experiment={name}"]).trainer.devices == 4
    assert composed("train", [f"experiment={name}", f"trainer={trainer}"]).trainer.devices == 1


def test_table_2_has_14_losses():
    losses = [run for _, overrides in commands("table2_voc") for run in single_runs(overrides)]
    named = {override for run in losses for override in run if override.startswith("loss=")}
    assert len(named) == 14
