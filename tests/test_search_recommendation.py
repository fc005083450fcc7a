"""The end of a search that is stopped between its last trainings, and what guards and settings make of it."""

import json

import pytest
from conftest import SEARCH
from helpers.searches import FEW

from autosegloss.search import History

pytestmark = pytest.mark.slow
FINAL = [
    *(override for override in SEARCH if "finalists" not in override),
    *FEW,
    "hydra.sweeper.finalists=2",
    "hydra.sweeper.final_seeds=2",
]
TRIALS, CANDIDATES = 4, 5
FILES = ("recommendation.json", "comparison.md", "theta.yaml")


def record(folder) -> dict:
    return json.loads((folder / "recommendation.json").read_text())


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("whole") / "whole"


@pytest.fixture
def whole(command, trainings, place):
    """The folder of a search that nothing stops; the tests share it."""
    if not place.exists():
        command("search", *FINAL, f"hydra.sweep.dir={place}")
        assert len(trainings.directories) == TRIALS + CANDIDATES + 3
        trainings.directories.clear()
    return place


@pytest.mark.parametrize("moment", [TRIALS + 3, TRIALS + CANDIDATES + 3])
def test_a_search_that_is_stopped_between_its_last_trainings_recommends_the_same(
    command, trainings, whole, tmp_path, moment
):
    trainings.interrupted = moment
    with pytest.raises(SystemExit, match="interrupted: 4 finished trials are kept"):
        command("search", *FINAL, "hydra.sweep.dir=found")
    trainings.interrupted = None
    command("search", "resume=found", tiny=False)
    assert len(trainings.directories) == TRIALS + CANDIDATES + 3
    assert [(whole / name).read_text() for name in FILES] == [(tmp_path / "found" / name).read_text() for name in FILES]


def test_a_search_that_goes_on_does_not_take_the_overrides_of_its_trials_for_those_of_the_user(
    command, trainings, tmp_path
):
    trainings.interrupted = TRIALS + 1
    with pytest.raises(SystemExit, match="interrupted"):
        command("search", *FINAL, 'hydra.sweeper.trial=["ema=0.5"]', "hydra.sweep.dir=found")
    trainings.interrupted = None
    command("search", "resume=found", tiny=False)
    written = {path.parent.parent: path.read_text() for path in (tmp_path / "found").rglob(".hydra/overrides.yaml")}
    assert {folder.parent.name.startswith("step") for folder, text in written.items() if "ema=0.5" in text} == {True}
    assert sum("ema=0.5" in text for text in written.values()) == TRIALS


def test_seeds_of_searches_do_not_share_trainings(command, whole, tmp_path):
    command("search", *FINAL, "seed=1", "hydra.sweep.dir=other")
    seeds = [{path.name for path in found.glob("comparison/cross-entropy/*")} for found in (whole, tmp_path / "other")]
    assert seeds == [{"seed_0", "seed_1"}, {"seed_2", "seed_3"}]


def test_the_theta_that_the_search_found_is_the_best_of_its_trials(whole):
    best = History(whole).best_samples(1)[0]
    overrides = (whole / "comparison/searched/seed_0/.hydra/overrides.yaml").read_text()
    assert repr(best.theta[0]) in overrides
    assert "evidence=true" in overrides


def test_a_guard_and_a_number_of_seeds_reach_the_record(command, trainings, tmp_path):
    command("search", *FINAL, "metric=bf1", "hydra.sweeper.final_seeds=1", "hydra.sweep.dir=found")
    found = record(tmp_path / "found")
    assert found["guard"] == {"miou": 0.01}
    assert {each["seeds"] for each in found["candidates"]} == {1}
    command("search", *FINAL, "metric=bf1", "guard={}", "hydra.sweeper.final_seeds=1", "hydra.sweep.dir=free")
    assert record(tmp_path / "free")["guard"] == {}
    assert all(each["guard_ok"] for each in record(tmp_path / "free")["candidates"])


def test_a_second_budget_has_its_own_table_and_verdict(command, trainings, tmp_path):
    trainings.interrupted = TRIALS + CANDIDATES + 5
    with pytest.raises(SystemExit, match="interrupted"):
        command("search", *FINAL, "hydra.sweeper.sooner=1", "hydra.sweep.dir=found")
    trainings.interrupted = None
    printed = command("search", "resume=found", tiny=False)
    found = record(tmp_path / "found")
    finalists = {each["name"] for each in found["candidates"] if each["seeds"] == 2}
    assert (found["steps"], found["sooner"]["steps"]) == (2, 1)
    assert {each["name"]: each["seeds"] for each in found["sooner"]["candidates"]} == dict.fromkeys(finalists, 2)
    text = (tmp_path / "found/comparison.md").read_text()
    assert text.index("after 2 steps") < text.index("after 1 steps")
    assert f"After 1 of 2 steps: {found['sooner']['recommended']};" in printed
    assert not list((tmp_path / "found").glob("sooner_1/*/*/weights.pt"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("hydra.sweeper.sooner=2", "sooner: expected training steps from 1 to 1, less than trainer.max_steps=2"),
        ("hydra.sweeper.finalists=0", "sooner: expected null with hydra.sweeper.finalists=0"),
    ],
)
def test_a_second_budget_is_a_shorter_one_of_finalists(command, override, message):
    with pytest.raises(SystemExit, match=message):
        command("search", *FINAL, "hydra.sweeper.sooner=1", override, "hydra.sweep.dir=found")
