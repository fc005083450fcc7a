"""The paper's experiments: their commands compose, and each trains a step on its data set in miniature."""

import re
import shlex

import miniatures
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from members import CONF

from autosegloss.result import Result

EXPERIMENTS = {path.stem: path.read_text() for path in sorted((CONF / "experiment").glob("*.yaml"))}
SMALL = [
    "data.batch_size=2",
    "data.num_workers=0",
    "network.encoder_name=resnet18",
    "network.encoder_weights=null",
    "trainer=default",
    "trainer.max_steps=1",
    "trainer.accelerator=cpu",
    "trainer.devices=1",
    "trainer.enable_progress_bar=false",
    "threads=1",
]
every_experiment = pytest.mark.parametrize("name", EXPERIMENTS)


def commands(name):
    """(program, overrides) of every command in the header of an experiment."""
    lines = [line for line in EXPERIMENTS[name].splitlines() if line.startswith("#")]
    for program, arguments in re.findall(r"python (train|search)\.py (.*)", "\n".join(lines)):
        yield program, [argument for argument in shlex.split(arguments) if argument != "-m"]


def single_runs(overrides):
    """Overrides of single runs that between them take every value of a multirun."""
    pairs = [override.split("=", 1) for override in overrides]
    values = [[value] if "[" in value else value.split(",") for _, value in pairs]
    for run in range(max(map(len, values))):
        yield [f"{key}={options[min(run, len(options) - 1)]}" for (key, _), options in zip(pairs, values, strict=True)]


def program_of(name):
    return next(commands(name))[0]


def composed(program, overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(program, list(overrides), return_hydra_config=True)


@every_experiment
def test_the_header_says_what_it_is(name):
    text = EXPERIMENTS[name]
    assert text.startswith("# @package _global_\n# ")
    assert any(f"experiment={name}" in overrides for _, overrides in commands(name))
    for word in ("Expected:", "Paper:") if name.startswith("table") else ("Expected:",):
        assert word in text
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
            if not any("DATE" in override for override in run):  # stands for a card of the user's
                instantiate(cfg.loss, ignore_index=255)


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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["table5", "table6", "table7"])
def test_the_retraining_after_a_search_is_that_of_table_2(name, command, roots, tmp_path):
    """Whatever was typed for the trials."""
    typed = [f"experiment={name}", f"data.root={roots}", "data.size=[256,256]", "trainer=gpu", "trainer.max_steps=7"]
    common = composed("search", typed).hydra.sweeper.comparison_common
    retraining, row = (
        composed(program, overrides)
        for program, overrides in (
            ("search", [*typed, *common, "loss=searched", "loss.theta=miou"]),
            ("train", ["experiment=table2_voc", f"data.root={roots}"]),
        )
    )
    for key in ("data", "network", "optimizer", "threads"):
        assert retraining[key] == row[key]
    for key in ("max_steps", "devices", "strategy", "precision"):
        assert retraining.trainer[key] == row.trainer[key]
    tiny = [*typed, *common, "loss=searched", "loss.theta=miou", *SMALL, "data.crop=[32,32]", "hydra.mode=RUN"]
    command("search", *tiny, "hydra.run.dir=out", tiny=False)
    assert (tmp_path / "out/result.json").exists()


def test_all_of_the_data_set_trains_but_what_the_search_holds_out():
    for name, holdout in (("table2_voc", None), ("search_voc", 1500), ("search_cityscapes", 500)):
        assert composed(program_of(name), [f"experiment={name}"]).data.holdout == holdout


def test_table_2_has_14_losses():
    losses = [run for _, overrides in commands("table2_voc") for run in single_runs(overrides)]
    named = {override for run in losses for override in run if override.startswith("loss=")}
    assert len(named) == 14
