"""Every row of the paper's tables has a command: what the commands of the experiments train fills all rows."""

from functools import cache
from itertools import product

import pytest
from helpers import commands as typed
from helpers.run_folders import SIX, filled, page
from hydra.utils import instantiate
from omegaconf import OmegaConf

from autosegloss import theta as thetas
from autosegloss.search import Choice
from autosegloss.training.outcome import Result
from hydra_plugins.autosegloss_sweeper._card import theta_card
from hydra_plugins.autosegloss_sweeper._task import Task

SECTIONS = {
    "table2_voc": ("2", ["PASCAL VOC"]),
    "table2_cityscapes": ("2", ["Cityscapes"]),
    "table3_voc_to_cityscapes": ("3", ["Found on PASCAL VOC, trained on Cityscapes"]),
    "table3_cityscapes_to_voc": ("3", ["Found on Cityscapes, trained on PASCAL VOC"]),
    "table4": ("4", ["DeepLabv3+ ResNet-50", "DeepLabv3+ ResNet-101", "PSPNet ResNet-101", "HRNetV2-W48"]),
    "table5": ("5", ["PASCAL VOC"]),
    "table6": ("6", ["PASCAL VOC"]),
    "table7": ("7", ["PASCAL VOC"]),
}


@cache
def composed(program, *overrides):
    """Composed once: tables share rows."""
    return typed.composed(program, [*overrides])


def each_run(overrides):
    """The overrides of all runs of a multirun."""
    pairs = [override.split("=", 1) for override in overrides]
    values = [[value] if "[" in value else value.split(",") for _, value in pairs]
    return [[f"{key}={value}" for (key, _), value in zip(pairs, run, strict=True)] for run in product(*values)]


def card(path, search):
    """Write the card that a search with these overrides ends with."""
    cfg = composed("search", *search)
    metric, curve = instantiate(cfg.metric), instantiate(cfg.curve)
    task = Task(None, 20, 32, None, cfg, search, path.parent, metric, curve, None)
    path.parent.mkdir(parents=True, exist_ok=True)
    theta_card(task, Choice("mu", tuple(thetas.identity(metric, curve).tolist()), 0.5)).save(path)
    return path


def finished(folder, program, overrides):
    """Write the folder of a training with these overrides."""
    cfg = composed(program, *overrides)
    (folder / ".hydra").mkdir(parents=True)
    runtime = {"choices": dict(cfg.hydra.runtime.choices), "cwd": str(folder.parent)}
    OmegaConf.save({"hydra": {"runtime": runtime}}, folder / ".hydra/hydra.yaml")
    OmegaConf.save(OmegaConf.masked_copy(cfg, [key for key in cfg if key != "hydra"]), folder / ".hydra/config.yaml")
    Result(SIX, {}, 1.0).save(folder)


def train(folder, overrides, found_by):
    """A training; cards of one's own, CARDS/metric.yaml, are those of searches with the overrides `found_by`."""
    loss = next(override for override in overrides if override.startswith("loss="))
    own = [override for override in overrides if "theta=" in override]
    for metric, override in zip(loss.removeprefix("loss=searched_").split("_"), own, strict=False):
        card(folder.parent / override.split("=")[1], [*found_by, f"metric={metric}"])
    finished(folder, "train", overrides)


def search(folder, overrides, _):
    """The retraining that follows a search."""
    found = card(folder / "theta.yaml", overrides)
    common = composed("search", *overrides).hydra.sweeper.comparison_common
    finished(folder / "run", "search", [*overrides, *common, "loss=searched", f"loss.theta={found}"])


@pytest.mark.slow
@pytest.mark.parametrize("name", SECTIONS)
def test_the_commands_of_an_experiment_fill_every_row(name, tmp_path):
    found_by = ["experiment=table7" if name == "table7" else "experiment=search_cityscapes"]
    runs = [(program, run) for program, overrides in typed.experiment_commands(name) for run in each_run(overrides)]
    for index, (program, overrides) in enumerate({(program, *run): (program, run) for program, run in runs}.values()):
        {"train": train, "search": search}[program](tmp_path / str(index), overrides, found_by)
    table, sections = SECTIONS[name]
    rows = {(section, row) for section in sections for row in page(table).sections[section]}
    assert {*filled(table, tmp_path)} == rows


def test_every_section_has_an_experiment():
    tables = {table for table, _ in SECTIONS.values()}
    named = {(table, section) for table, sections in SECTIONS.values() for section in sections}
    assert named == {(table, section) for table in tables for section in page(table).sections}
