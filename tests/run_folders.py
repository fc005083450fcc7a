"""Folders of runs, searches and theta cards as the programs leave them; and what the tables make of these."""

import json

import yaml

from autosegloss.report.paper import paper_table
from autosegloss.report.runs import Archive
from autosegloss.result import Result
from autosegloss.search import History
from autosegloss.search.history import Trial

R101_ON_VOC = {"data": "voc_full", "network": "deeplabv3plus_r101", "metric": "miou"}
SIX = {"gacc": 0.91, "macc": 0.82, "miou": 0.73, "fwiou": 0.64, "biou": 0.55, "bf1": 0.46}


def write_run(path, loss="cross_entropy", scores=SIX, seed=0, steps=10_000, theta=None, **choices):
    """A folder as train.py leaves it."""
    parts = {"theta": theta} if isinstance(theta, str) else {"losses": [{"theta": name} for name in theta or []]}
    config = {"seed": seed, "loss": parts, "trainer": {"max_steps": steps}}
    runtime = {"choices": {**R101_ON_VOC, "loss": loss, **choices}, "cwd": str(path.parent)}
    (path / ".hydra").mkdir(parents=True)
    (path / ".hydra/config.yaml").write_text(yaml.safe_dump(config))
    (path / ".hydra/hydra.yaml").write_text(yaml.safe_dump({"hydra": {"runtime": runtime}}))
    if scores is not None:
        Result(scores, {}, 1.0).save(path)
    return path


def write_card(path, metric="miou", source="VOC", size=(128, 128), steps=1000, curve=None, strategy="PPO"):
    """A theta card as far as tables read it."""
    search = {"trial_max_steps": steps, "strategy": {"_target_": f"autosegloss.search.{strategy}"}}
    data = {
        "source": {"_target_": f"autosegloss.data.{source}", "root": "/data/voc and cityscapes"},
        "size": list(size),
    }
    bezier = {"name": "bezier", "pieces": 2, "truth_table": True, "monotone": True}
    page = {"metric": {"name": metric}, "curve": curve or bezier, "provenance": {"data": data, "search": search}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(page))
    return str(path)


def write_search(path, seed, strategy, scores):
    """A search whose steps had trials of these scores, with state.json and its records."""
    config = {
        "seed": seed,
        "metric": {"_target_": "autosegloss.formulas.MeanIoU"},
        "data": {"source": {"_target_": "autosegloss.data.VOC"}},
        "hydra": {"sweeper": {"strategy": {"_target_": f"autosegloss.search.{strategy}"}}},
    }
    path.mkdir(parents=True)
    (path / "state.json").write_text(json.dumps({"config": config, "overrides": []}))
    history = History(path)
    for step, trials in enumerate(scores):
        for index, score in enumerate(trials):
            history.add(Trial(step, index, (0.5,), score))
        history.close_step(step, [0.5])
    return path


def page(table, *folders):
    return paper_table(table).page(Archive.of(folders))


def filled(table, *folders):
    """{(section, row): {column: cell}} of the rows that have a run."""
    sections = page(table, *folders).sections
    return {
        (section, row): cells
        for section, rows in sections.items()
        for row, cells in rows.items()
        if any(cell.count for cell in cells.values())
    }
