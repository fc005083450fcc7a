"""Writes folders of runs, searches and theta cards as the programs do, and fills tables from them."""

import json
from functools import cache

from helpers.members import CONF
from omegaconf import OmegaConf

from autosegloss.report.archive import Archive
from autosegloss.report.paper import paper_table
from autosegloss.search import History, Trial
from autosegloss.search.records import STATE_FILE
from autosegloss.training.outcome import Result

R101_ON_VOC = {"data": "voc_full", "network": "deeplabv3plus_r101", "metric": "miou"}
SCHEDULES = {"voc_full": ([512, 512], 10_000), "cityscapes_full": ([512, 1024], 40_000)}  # windows, iterations
SIX = {"gacc": 0.91, "macc": 0.82, "miou": 0.73, "fwiou": 0.64, "biou": 0.55, "bf1": 0.46}


def write_run(path, loss="cross_entropy", scores=SIX, seed=0, theta=None, values=None, **choices):
    """Write a folder of train.py that fills a row of a table; `values` at dotted keys override its config."""
    chosen = {**R101_ON_VOC, "loss": loss, **choices}
    crop, steps = SCHEDULES.get(chosen["data"], (None, 300))
    sum_of = {"losses": [{"theta": name} for name in theta or []], "weights": [1] * len(theta or [])}
    by_hand = {"weights": [1, 1] if chosen["loss"] == "ssim" else None}
    config = {
        "seed": seed,
        "loss": {"theta": theta} if isinstance(theta, str) else sum_of if theta else by_hand,
        "metric": OmegaConf.load(CONF / "metric" / f"{chosen['metric']}.yaml"),
        "network": OmegaConf.load(CONF / "network" / f"{chosen['network']}.yaml"),
        "data": {"crop": crop, "holdout": None},
        "trainer": {"max_steps": steps},
    }
    (path / ".hydra").mkdir(parents=True)
    OmegaConf.save(_changed(config, values), path / ".hydra/config.yaml")
    runtime = {"choices": chosen, "cwd": str(path.parent)}
    OmegaConf.save({"hydra": {"runtime": runtime}}, path / ".hydra/hydra.yaml")
    if scores is not None:
        Result(scores, {}, 1.0).save(path)
    return path


def write_card(path, metric="miou", source="VOC", curve=None, values=None):
    """Write the parts of a theta card that tables read, from a search as in the paper; `values` override them."""
    strategy = {"_target_": "autosegloss.search.PPO"}
    data = {
        "source": {"_target_": f"autosegloss.data.{source}", "root": "/data/voc and cityscapes"},
        "size": [128, 128],
    }
    provenance = {
        "data": data,
        "search": {"trial_max_steps": 1000, "steps": 20, "samples": 32, "strategy": strategy},
        "network": OmegaConf.load(CONF / "network/deeplabv3plus_r50.yaml"),
    }
    bezier = {"name": "bezier", "pieces": 2, "truth_table": True, "monotone": True}
    card = {"metric": {"name": metric}, "curve": curve or bezier, "provenance": provenance}
    path.parent.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(_changed(card, values), path)
    return str(path)


def write_search(path, seed, strategy, scores, values=None):
    """Write a search whose steps have trials with these scores: its state and its records; `values` as for a run."""
    config = {
        "seed": seed,
        "metric": OmegaConf.load(CONF / "metric/miou.yaml"),
        "curve": OmegaConf.load(CONF / "curve/bezier.yaml"),
        "network": OmegaConf.load(CONF / "network/deeplabv3plus_r50.yaml"),
        "data": {"source": {"_target_": "autosegloss.data.VOC"}, "size": [128, 128], "holdout": 1500},
        "trainer": {"max_steps": 1000},
        "hydra": {
            "sweeper": {"steps": 20, "samples": 32, "strategy": {"_target_": f"autosegloss.search.{strategy}"}},
        },
    }
    path.mkdir(parents=True)
    plain = OmegaConf.to_container(_changed(config, values))
    (path / STATE_FILE).write_text(json.dumps({"config": plain, "overrides": []}))
    history = History(path)
    for step, trials in enumerate(scores):
        for index, score in enumerate(trials):
            history.add(Trial(step, index, (0.5,), score))
        history.close_step(step, [0.5])
    return path


def _changed(config, values):
    config = OmegaConf.create(config)
    for key, value in (values or {}).items():
        OmegaConf.update(config, key, value)
    return config


_table = cache(paper_table)  # reading its file takes ten times as long as filling it


def page(table, *folders):
    return _table(table).page(Archive.of(folders))


def filled(table, *folders):
    """{(section, row): {column: cell}} of the rows that have a run."""
    sections = page(table, *folders).sections
    return {
        (section, row): cells
        for section, rows in sections.items()
        for row, cells in rows.items()
        if any(cell.count for cell in cells.values())
    }
