"""No typed key is lost: what no part of the program reads is one line that names the nearest keys."""

import re

import pytest
from helpers.commands import composed
from helpers.members import CONF
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf, open_dict

from autosegloss.cli.configs import compose_training
from autosegloss.cli.errors import describe_error
from autosegloss.cli.typed import check_hydra, check_read, check_typed
from autosegloss.errors import InputError
from autosegloss.training.keys import check_keys, shipped_keys

QUIET = ["trainer.enable_progress_bar=false", "hydra.run.dir=run"]


def config(*overrides: str, entry: str = "train"):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(entry, list(overrides))


IN_VAIN = [  # one of each check
    ("lr=0.1", "unknown key 'lr': nearest is optimizer.lr; "),
    ("+lr=0.1", "unknown key 'lr': nearest is optimizer.lr; "),
    ("+dry_run=true", "unknown key 'dry_run'"),
    ("+hydra.foo=1", "unknown key 'hydra.foo': "),
    ("theta=[0.1]", "theta is read by no part of this run: loss=surrogate reads it"),
    ("classes=11", "classes is read by no part of this run: .*data.source.classes is a number"),
]


@pytest.mark.parametrize(("override", "message"), IN_VAIN)
def test_a_key_that_nothing_reads_ends_the_training_before_it_begins(command, tmp_path, capsys, override, message):
    with pytest.raises(SystemExit, match=f"^error: {message}") as ended:
        command("train", *QUIET, override)
    assert "\n" not in str(ended.value)
    assert capsys.readouterr().err == ""
    assert not (tmp_path / "run/result.json").exists()


def check(override: str) -> None:
    """All checks of a training with one setting, as the program makes them."""
    cfg, key = composed("train", [override]), override.partition("=")[0].lstrip("+")
    with open_dict(cfg):
        hydra = cfg.pop("hydra")
    check_typed(cfg, [key], "train")
    check_hydra(hydra.overrides.hydra)
    check_read(cfg, [key])
    check_keys(cfg)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("++lr=0.1", "unknown key 'lr': nearest is optimizer.lr; "),
        ("trainer.max_step=5", "unknown key 'trainer.max_step': nearest are trainer.max_steps, "),
        ("+trainer.max_step=5", "unknown key 'trainer.max_step': nearest are trainer.max_steps, "),
        ("data.sorce.train=5", "unknown key 'data.sorce': nearest are data.source, "),
        ("+data.augment.flipp=0", "unknown key 'data.augment.flipp': nearest are data.augment.flip, "),
        ("+data.source.trian=3", "unknown key 'data.source.trian': nearest are data.source.train, "),
        ("hydra.run.dirr=there", "unknown key 'hydra.run.dirr': nearest are hydra.run.dir, "),
        (
            "trainer.benchmark=true",
            "trainer.benchmark is not in the configuration, but pytorch_lightning.Trainer",
        ),
        ("+loss.ignore_index=3", "loss.ignore_index is set by the program, .* set data.source.ignore_index instead"),
        ("+data.device=cuda", "data.device is set by the program, .* set trainer.accelerator instead"),
        ("+checkpoint.every=3", "unknown key 'checkpoint.every': nearest are checkpoint.every_"),
        ("+checkpoint.monitor=miou", "unknown key 'checkpoint.monitor': nearest are checkpoint.begin_with, monitor; "),
        ("+hydra.run.dirr=there", "unknown key 'hydra.run.dirr': nearest are hydra.run.dir, "),
        ("+optimizer.learning_rate=1", "unknown key 'optimizer.learning_rate': nearest are optimizer.lr, "),
        ("+schedule.step=3", r"unknown key 'schedule.step': (?!.*schedule\.steps)"),
        ("curve=linear", "curve is read by no part of this run: loss=surrogate reads it"),
        ("+data.download=true", "data.download is read by no part of this run"),
    ],
)
def test_a_key_that_nothing_reads_is_told_with_the_nearest(override, message):
    with pytest.raises(Exception, match=r"\w") as refused:  # of Hydra, or our own
        check(override)
    assert re.match(message, told := describe_error(refused.value))
    assert "\n" not in told


def test_a_search_and_the_check_of_data_refuse_the_same(command, trainings):
    with pytest.raises(SystemExit, match=r"^error: trials: unknown key 'lr': nearest is optimizer.lr"):
        command("search", "+lr=0.1")
    for override in ("lr=0.1", "+lr=0.1"):
        with pytest.raises(Exception, match="lr"):
            compose_training([override])
    assert trainings.directories == []


@pytest.mark.slow
def test_a_grid_refuses_the_same(command):
    with pytest.raises(SystemExit, match=r"^error: unknown key 'lr': nearest is optimizer.lr"):
        command("train", "hydra.mode=MULTIRUN", "+lr=0.1,0.2", "hydra.sweep.dir=grid")


def test_what_a_part_of_the_program_takes_is_read():
    check_keys(config("+trainer.benchmark=true", "+data.source.labels={0: 1}", "data=folder"))
    check_keys(config("+network.activation=null", "+width=32", "data.size=[${width},${width}]"))
    check_keys(config("loss=searched_miou_biou", "data=voc", "data.augment.colours.probability=1"))
    check_keys(OmegaConf.create({"network": {"_target_": "no.such.module.Network", "depth": 3}}))  # making it tells


@pytest.mark.parametrize("entry", ["train", "search"])
def test_every_key_of_the_shipped_configuration_is_read(entry):
    cfg = config(entry=entry)
    assert {*cfg} == shipped_keys(entry) - {"hydra"}
    check_keys(cfg)


@pytest.mark.parametrize("path", sorted((CONF / "experiment").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_key_of_the_experiments_is_read_and_their_boundaries_are_of_five_pixels(path):
    program = "search" if "search.py" in path.read_text() else "train"
    cfg = composed(program, [f"experiment={path.stem}", "metric=biou"])
    check_keys(cfg)
    assert (cfg.data.boundary.width, cfg.data.boundary.tolerance, cfg.metric.width) == (5, 5, 5)


def test_the_surrogates_read_what_is_typed_for_them():
    check_read(config("loss=surrogate", "curve=linear"), ["curve", "curve.pieces", "theta", "classes"])
    check_read(config("loss=naive", "classes=present"), ["classes"])
    check_read(config("data=voc", "data.root=there"), ["data.root", "data.download"])


def test_mappings_of_hydra_take_any_key():
    added = ["+hydra.job.env_set.A=1", "+hydra.callbacks.own._target_=a", "+hydra.sweeper.comparison.own=[]"]
    check_hydra([*added, "hydra.run.dir=run", "hydra/sweeper=ppo", "hydra.mode=RUN", "hydra.job.num=1"])


def test_one_length_of_a_training_is_typed():
    with pytest.raises(InputError, match="both set the length of a training"):
        check_typed(config(), ["trainer.max_epochs", "trainer.max_steps"], "train")
    check_typed(config(), ["trainer.max_epochs", "resume"], "own")


def test_a_search_counts_steps(command):
    with pytest.raises(SystemExit, match=r"^error: a search counts steps, got trainer.max_epochs=3: set"):
        command("search", "trainer.max_epochs=3")
