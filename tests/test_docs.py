"""What the documents show works: their Python runs, their commands name what exists, their links lead somewhere."""

import importlib
import json
import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from conftest import ROOT
from helpers import laws
from helpers.commands import composed, single_runs, typed

from autosegloss.formulas import Formula, ratio
from autosegloss.metrics import FormulaMetric

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text()
    return [
        re.sub(r"^ {3}(?=.)", "", block, flags=re.M) if block.startswith("   ") else block
        for block in re.findall(rf"```{language}\n(.*?)```", text, flags=re.S)
    ]


def test_the_python_of_the_readme_runs():
    space = {"logits": torch.randn(2, 21, 16, 16, requires_grad=True), "labels": torch.randint(21, (2, 16, 16))}
    for block in blocks("README.md", "python"):
        exec(block, space)
    assert space["logits"].grad.isfinite().all()


def test_the_python_of_the_page_on_tasks_runs():
    space = {}
    for block in blocks("docs/tasks.md", "python"):
        exec(block, space)
    assert space["logits"].grad.isfinite().all()


def test_the_python_of_the_page_on_metrics_runs():
    for block in blocks("docs/metrics.md", "python"):
        exec(block, space := {})
        assert set(space["metrics"]) == {"miou", "dice", "fbeta", "nsd"}


def test_the_python_of_the_page_on_loops_runs(capsys):
    space = {}
    for block in blocks("docs/loops.md", "python"):
        exec(block, space)
    outputs, labels = SimpleNamespace(logits=torch.randn(2, 3, 8, 8)), torch.randint(3, (2, 32, 32))
    assert space["of_outputs"](outputs, labels) > 0
    assert "iou_road" in capsys.readouterr().out


def test_the_page_on_tools_shows_the_options_that_are_measured(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    page, tools = (ROOT / "docs/tools.md").read_text(), importlib.import_module("tools")
    assert len(tools.ROWS) > 30
    for row in tools.ROWS:
        assert f"`{row.ours}`" in page, row.call
        assert isinstance(eval(row.ours, dict(tools.NAMES)), FormulaMetric)
    exec(blocks("docs/tools.md", "python")[0], {})


def test_the_new_metric_of_the_contributors_page_obeys_the_laws():
    space = {
        "dataclass": dataclass,
        "ClassVar": ClassVar,
        "Formula": Formula,
        "ratio": ratio,
        "torch": torch,
    }
    before = dict(Formula.members)
    try:
        exec(blocks("CONTRIBUTING.md", "python")[0], space)
        laws.declares_what_it_uses(space["Overlap"]())
    finally:
        Formula.members.clear()
        Formula.members.update(before)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_compose(page):
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    for program, overrides in (call for language, block in fenced if not language for call in typed(block)):
        for run in single_runs(overrides):
            if not {"metric=overlap", "hydra/launcher=ray"} & {*run}:  # a metric that the reader adds, an extra
                composed(program, run)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", ["paper.md", "paper-claims.md"])
def test_the_places_of_the_paper_exist(page):
    """Of files by their path; a name after a file, as in `search/ppo.py`: `PPO.objective`, is in it."""
    text = (ROOT / "docs" / page).read_text()
    folders = [ROOT, ROOT / "src/autosegloss", ROOT / "conf/loss", ROOT / "conf/experiment"]
    for path, names in re.findall(r"`([\w/-]+(?:\.py|\.yaml|/))`(?:: ((?:`\w+(?:\.\w+)*`(?:, )?)+))?", text):
        (file, *_) = [folder / path for folder in folders if (folder / path).exists()] or pytest.fail(path)
        for name in re.findall(r"\w+", names):
            assert name in file.read_text(), f"{name} in {path}"


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_run(path):
    """In this process and with few steps; the stored outputs are those of a full run."""
    space = {}
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "code":
            lines = [line for line in "".join(cell["source"]).splitlines() if not line.startswith("%")]
            exec("\n".join(lines).replace("STEPS = 120", "STEPS = 2"), space)
    assert space["STEPS"] == 2
