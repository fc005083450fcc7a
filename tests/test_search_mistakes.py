"""Mistakes in a search: each is one line, before anything is trained."""

import re

import pytest
from conftest import SEARCH
from helpers.members import slow
from helpers.searches import refusal

SEEDED = "hydra.sweeper.comparison_seeds=[0]"

OF_RUNS = [
    (["dry_run=yes"], "dry_run must be true or false, got dry_run=yes"),
    (['hydra.sweeper.warmup=["trainer.max_steps=abc"]'], "warmup: trainer.max_steps must be a whole number"),
]
OTHER_OF_RUNS = [
    (["hydra/sweeper=autosegloss"], "dry_run is for a search, .*: leave out dry_run, or choose"),
    (['hydra.sweeper.warmup=["loss=dise"]'], "unknown loss 'dise': choose one of dice"),
    (
        ['hydra.sweeper.final=["lr=0.1"]', "hydra.sweeper.finalists=1"],
        "comparison/cross-entropy/seed_0: unknown key 'lr'",
    ),
    (
        ['hydra.sweeper.final=["+loss.power=2"]', "hydra.sweeper.finalists=1"],
        "comparison/cross-entropy/seed_0: unknown key 'loss.power'",
    ),
    (
        ["+hydra.sweeper.candidates.x=['los=dice']", "hydra.sweeper.finalists=1"],
        "comparison/x/seed_0: unknown key 'los'",
    ),
    (["guard={iou: 0.01}"], "unknown metric of guard 'iou': choose one of .*"),
    (["guard={macc: 0.01}"], "guard: macc is the metric that is searched for: guard others"),
    (["guard=0.01"], "guard: expected metrics and what each may lose"),
    (['+hydra.sweeper.comparison.x=["los=dice"]', SEEDED], "comparison/x/seed_0: unknown key 'los': nearest is loss"),
    (['hydra.sweeper.comparison_common=["data.holdout=999"]', SEEDED], "comparison/.*: holdout=999 leaves"),
    (
        ['hydra.sweeper.comparison_common=["data.batch_size=99"]', SEEDED],
        "comparison/.*: 16 training samples do not fill one batch of 99",
    ),
    (["trainer.max_steps=0"], "trials: trainer.max_steps must be a whole number of 1 or more, got 0"),
]


@pytest.mark.parametrize(("overrides", "message"), [*OF_RUNS, *slow(OTHER_OF_RUNS)])
def test_a_dry_run_finds_a_mistake_in_any_run(command, tmp_path, trainings, overrides, message):
    assert re.match(f"error: {message}", refusal(command, *SEARCH, "dry_run=true", *overrides))
    assert not trainings.directories
    assert not list(tmp_path.iterdir())


NO_SEARCHES = [
    ("nowhere", "resume=nowhere: there is no search in this folder"),
    ("torn", "resume=torn: state.json cannot be read"),
]
OTHER_NO_SEARCHES = [
    ("file", "resume=file: "),
    ("empty", "resume=empty: there is no search in this folder"),
    ("strange", "resume=strange: state.json cannot be read"),
    ("", "resume must name the folder of a search, got 'resume='"),
    ("empty,torn", "a search takes one value for each key, got resume=empty,torn"),
]


@pytest.mark.parametrize(("resume", "message"), [*NO_SEARCHES, *slow(OTHER_NO_SEARCHES)])
def test_what_is_no_search_cannot_be_resumed(command, tmp_path, trainings, resume, message):
    for name in ("empty", "torn", "strange"):
        (tmp_path / name).mkdir()
    for name, content in {"file": "", "torn/state.json": '{"overrides": [', "strange/state.json": "[]"}.items():
        (tmp_path / name).write_text(content)
    before = sorted(tmp_path.rglob("*"))
    assert message in refusal(command, f"resume={resume}")
    assert sorted(tmp_path.rglob("*")) == before


MISTAKES = [
    (["metric=miou,bf1"], "error: a search takes one value for each key, got metric=miou,bf1"),
    (["hydra.sweeper.samples=0"], "error: hydra.sweeper.samples must be 1 or more, got 0"),
    (["loss=dice"], "error: the loss does not depend on theta: a search trains with loss=surrogate"),
    (["hydra.sweep.dir=old"], "error: .*old holds a search already: continue it with python search.py resume=old"),
]
OTHER_MISTAKES = [
    (["theta=[0.5]"], "error: theta is what the search finds, got"),
    (["curve=identity"], "error: curve 'identity' has no parameters to search"),
    (["hydra.sweep.dir=file/found"], "error: the output folder .* cannot be written"),
    (["hydra.sweeper.steps=0"], "error: hydra.sweeper.steps must be 1 or more, got 0"),
    (["hydra.sweeper.sigma=-1"], "error: sigma: expected a number above 0"),
    (["hydra/sweeper=ppo", "hydra.sweeper.strategy.ratio=join"], "error: unknown ratio 'join': choose one of joint"),
    (['+hydra.sweeper.candidates.dise=["loss=dise"]'], "error: unknown loss 'dise': choose one of dice"),
    (["data=folder", "data.source.root=nowhere"], "error: trials: no such folder: nowhere"),
]


@pytest.mark.parametrize(("overrides", "message"), [*MISTAKES, *slow(OTHER_MISTAKES)])
def test_a_mistake_is_told_in_one_line_before_anything_is_trained(command, tmp_path, overrides, message):
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "old").mkdir()
    (tmp_path / "old/trials.jsonl").write_text('{"step": 0, "index": 0, "theta": [0.5], "score": 0.5, "scores": {}}\n')
    tiny = not overrides[0].startswith("data=")
    with pytest.raises(SystemExit, match=message) as ended:
        command("search", *overrides, tiny=tiny)
    assert "\n" not in str(ended.value)
    assert not list(tmp_path.rglob("result.json"))
