"""The history of a search: exact records, tolerance of a killed process, and the choices made from them."""

import json
import math
from statistics import fmean, pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autosegloss.errors import InputError
from autosegloss.search import History, Trial

unit = st.floats(0.0, 1.0)
finished = st.builds(
    Trial,
    step=st.integers(1, 3),
    index=st.integers(0, 3),
    theta=st.tuples(unit, unit),
    score=unit,
    scores=st.dictionaries(st.sampled_from(["miou", "bf1"]), unit),
    seconds=st.floats(0.0, 1e6),
)
failed = st.builds(
    Trial,
    step=st.integers(1, 3),
    index=st.integers(0, 3),
    theta=st.tuples(unit, unit),
    score=st.none(),
    status=st.sampled_from(["failed", "diverged"]),
    message=st.text(max_size=20),
)


def trial(step, index, score, theta=None):
    theta = (step / 10, index / 10) if theta is None else theta
    return Trial(step, index, theta, score, status="ok" if score is not None else "failed", message="no memory")


def filled(directory=None, *, scores=((0.1, 0.3), (0.4, None), (0.2, 0.5))):
    history = History(directory)
    for step, row in enumerate(scores, start=1):
        for index, score in enumerate(row):
            history.add(trial(step, index, score))
        history.close_step(step, (step / 7, 0.5))
    return history


@settings(max_examples=6, deadline=None)
@given(st.lists(finished | failed, max_size=8), st.tuples(unit, unit))
def test_round_trip_is_exact(tmp_path_factory, trials, mean):
    directory = tmp_path_factory.mktemp("history")
    history = History(directory)
    for each in trials:
        history.add(each)
    for index in {each.step for each in trials}:
        history.close_step(index, mean)
    loaded = History(directory)
    assert loaded.trials == history.trials
    assert loaded.steps == history.steps
    assert {(t.step, t.index): t for t in trials} == {(t.step, t.index): t for t in loaded.trials}


def test_undefined_metrics_are_null_in_the_file_and_nan_in_memory(tmp_path):
    History(tmp_path).add(Trial(1, 0, (0.5,), 0.25, {"miou": 0.25, "bf1": math.nan}))
    assert json.loads((tmp_path / "trials.jsonl").read_text())["scores"] == {"miou": 0.25, "bf1": None}
    (loaded,) = History(tmp_path).trials
    assert math.isnan(loaded.scores["bf1"])


def test_each_trial_is_in_the_file_at_once(tmp_path):
    history = History(tmp_path / "new" / "folder")
    for count in (1, 2, 3):
        history.add(trial(1, count, 0.5))
        assert len((tmp_path / "new" / "folder" / "trials.jsonl").read_text().splitlines()) == count


def test_steps_file_holds_the_summary(tmp_path):
    filled(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == [1, 2, 3]
    assert lines[0]["mean"] == [1 / 7, 0.5]
    assert lines[0]["average"] == pytest.approx(0.2)
    assert lines[0]["best"] == 0.3
    assert lines[0]["std"] == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["trials.jsonl", "steps.jsonl"])
def test_every_torn_end_is_forgiven_and_mended(tmp_path, name):
    filled(tmp_path)
    content = (tmp_path / name).read_bytes()
    last = content.rstrip(b"\n").rfind(b"\n") + 1
    whole = len(content[:last].splitlines())
    for end in range(last, len(content), 7):
        (tmp_path / name).write_bytes(content[:end])
        history = History(tmp_path)
        assert len(history.trials if name.startswith("trials") else history.steps) == whole
    history.add(trial(3, 1, 0.5))
    history.close_step(3, (3 / 7, 0.5))
    assert History(tmp_path).trials == filled().trials
    assert History(tmp_path).steps == filled().steps


def test_damage_in_the_middle_is_named(tmp_path):
    filled(tmp_path)
    path = tmp_path / "trials.jsonl"
    path.write_bytes(b"{half\n" + path.read_bytes())
    with pytest.raises(InputError, match=r"trials\.jsonl, line 1: not a JSON record"):
        History(tmp_path)


@pytest.mark.parametrize("kind", ["trials", "steps"])
@pytest.mark.parametrize("line", ['{"step": 1}', '{"index": 1, "mean": null, "scores": []}', "[]", "7"])
def test_a_record_of_another_form_is_named(tmp_path, kind, line):
    filled(tmp_path)
    (tmp_path / f"{kind}.jsonl").write_text(line + "\n")
    with pytest.raises(
        InputError, match=rf"{kind}\.jsonl(: expected the {kind} of a search|, line 1: not a JSON record)"
    ):
        History(tmp_path)


def test_repeated_trial_replaces_the_failed_one(tmp_path):
    history = History(tmp_path)
    history.add(trial(1, 0, None))
    history.add(trial(1, 0, 0.5))
    assert [t.score for t in history.trials] == [0.5]
    assert [t.score for t in History(tmp_path).trials] == [0.5]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.none() | unit, min_size=1, max_size=9))
def test_summary_of_a_step(scores):
    history = History()
    for index, score in enumerate(scores):
        history.add(trial(1, index, score))
    step = history.close_step(1, (0.5, 0.5))
    values = [score for score in scores if score is not None]
    assert step.scores == values
    if not values:
        assert (step.average, step.best, step.std) == (None, None, None)
    else:
        assert step.average == fmean(values)
        assert step.best == max(values)
        assert step.std == pytest.approx(pstdev(values), abs=1e-12)


def test_best_mean_is_that_of_the_step_with_the_highest_average_of_finished_trials():
    assert filled().best_mean() == ("mu of step 2", (2 / 7, 0.5), 0.4)
    assert filled(scores=((0.5, 0.1), (0.3, 0.3))).best_mean().label == "mu of step 1"  # the earlier of equals


@pytest.mark.parametrize("scores", [(), ((None, None),)])
def test_no_finished_trial_is_an_error_that_says_why(scores):
    for choose in (filled(scores=scores).best_mean, lambda: filled(scores=scores).best_samples(1)):
        with pytest.raises(InputError, match="no memory" if scores else "none"):
            choose()


def test_best_samples_are_distinct_and_sorted():
    history = filled()
    best = ["sample 1 of step 3", "sample 0 of step 2", "sample 1 of step 1"]
    assert [sample.label for sample in history.best_samples(3)] == best
    assert history.best_samples(1) == [("sample 1 of step 3", (0.3, 0.1), 0.5)]
    history.add(trial(3, 7, 0.45, theta=(0.3, 0.1)))  # the theta of the best again
    assert [sample.label for sample in history.best_samples(3)] == best
    assert history.best_samples(0) == []
    assert len(history.best_samples(99)) == 5


def test_a_negative_number_of_best_samples_is_refused():
    for choose in (filled().best_samples, filled().candidates):
        with pytest.raises(ValueError, match="0 or more trials, got -1"):
            choose(-1)


def test_candidates():
    assert filled().candidates(2, last_mean=(0.9, 0.9)) == {
        "mu of step 2": (2 / 7, 0.5),
        "last mu": (0.9, 0.9),
        "sample 1 of step 3": (0.3, 0.1),
        "sample 0 of step 2": (0.2, 0.0),
    }
    assert list(filled().candidates(0)) == ["mu of step 2", "mu of step 3"]
    assert list(filled().candidates(0, last_mean=(2 / 7, 0.5))) == ["mu of step 2"]


@pytest.mark.parametrize(("score", "status"), [(None, "ok"), (0.5, "failed"), (math.nan, "ok"), (math.inf, "ok")])
def test_score_and_status_agree(score, status):
    with pytest.raises(ValueError, match="finite score"):
        Trial(1, 0, (0.5,), score, status=status)
