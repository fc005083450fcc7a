"""The files about a recommendation: their numbers are those of the evidence, and their words say what was chosen."""

import json
import math
import re

import pytest
from helpers.evidence import drawn_evidence

from autosegloss.formulas import resolve
from autosegloss.ranking import Contest, Field, Verdict
from autosegloss.report.gains import gains_figure
from autosegloss.report.recommendation import write_recommendation

METRICS = ("gacc", "macc", "miou")
FORMULAS = {name: resolve(name) for name in METRICS}
LEVELS = {"cross-entropy": 0, "dice": 1, "searched": 4}


def verdict(guard=None, table="val", **shares) -> Verdict:
    """Of candidates whose networks, of three seeds, predict these shares right on the hold-out, and less beside it."""

    def field(truth: int, less: float) -> Field:
        runs = {
            name: {seed: drawn_evidence(40, right - less, 10 * place + seed, truth, METRICS) for seed in range(3)}
            for place, (name, right) in enumerate(shares.items())
        }
        runs["dice"] = {0: runs["dice"][0]}
        return Field(runs, FORMULAS, draws=200)

    fields = {"holdout": field(0, 0.0), "val": field(1, 0.05)}
    contest = Contest(fields["holdout"], "miou", LEVELS, guard or {})
    finalists = [name for name in shares if name != "dice"]
    return Verdict.of(contest, finalists, {name: fields[name] for name in ("holdout", table)}, table)


def shares(ce: float, searched: float) -> dict[str, float]:
    return {"cross-entropy": ce, "dice": 0.6, "searched": searched}


def test_the_record_has_the_scores_of_the_table_and_those_of_the_choice(tmp_path):
    found = verdict(**shares(0.6, 0.75))
    write_recommendation(tmp_path, {250: found}, {"cross-entropy": 1.0, "dice": 2.0, "searched": 1.0}, "32x32")
    record = json.loads((tmp_path / "recommendation.json").read_text())
    assert (record["recommended"], record["best_lower_bound"]) == ("searched", "searched")
    assert (record["metric"], record["chosen_on"], record["scored_on"]) == ("miou", "holdout", "val")
    for candidate in record["candidates"]:
        name = candidate["name"]
        for split, page in (("val", candidate), ("holdout", candidate["choice"])):
            standing = found.splits[split][name]
            mean, gain = standing.scores["miou"], standing.differences["miou"]
            assert (page["mean"], page["stderr"], page["seeds"]) == (mean.value, mean.stderr, standing.seeds)
            assert page["scores"] == {metric: standing.scores[metric].value for metric in METRICS}
            bounds = {"mean": gain.value, "low": gain.low, "high": gain.high, "stderr": gain.stderr}
            assert page["difference"] == bounds
            assert page["differences"]["miou"] == gain.value
    assert [candidate["scale"] for candidate in record["candidates"]] == [1, 2, 1]
    assert all(candidate["guard_ok"] for candidate in record["candidates"])


@pytest.mark.parametrize(
    ("given", "name", "words"),
    [
        (shares(0.6, 0.75), "searched", r"of all candidates it has the best lower bound in miou, \+\d+\.\d points"),
        (shares(0.7, 0.6), "cross-entropy", "no other loss beats cross-entropy in miou beyond the noise"),
    ],
)
def test_the_page_says_what_is_recommended_and_why(tmp_path, given, name, words):
    found = verdict(**given)
    (table,) = write_recommendation(tmp_path, {250: found}, dict.fromkeys(LEVELS, 1.0), "32x32")
    page = (tmp_path / "comparison.md").read_text()
    assert page.startswith(f"Recommended: **{name}**; {found.reason()}.\n")
    assert re.match(words, found.reason())
    assert table.title == "Validation"
    assert "Scored at 32x32." in table.caption
    assert "scale" not in table.header
    (row,) = [row for row in table.rows if row[0] == name]
    mean = found.splits["val"][name].scores["miou"]
    assert row[table.header.index("→ miou")] == f"{100 * mean.value:.1f} ± {100 * mean.stderr:.1f}"


def test_the_figure_shows_every_candidate_and_its_interval():
    found = verdict(**shares(0.6, 0.75))
    (axes,) = gains_figure(found).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == list(found.splits["val"])
    drawn = [line.get_xdata() for line in axes.lines[1:]]  # the first is that of the baseline
    for name, (bounds, mean) in zip(found.splits["val"], zip(drawn[::2], drawn[1::2], strict=True), strict=True):
        gain = found.splits["val"][name].differences["miou"]
        assert list(bounds) == [100 * gain.low, 100 * gain.high]
        assert mean[0] == 100 * gain.value


def test_a_simpler_loss_that_is_as_good_is_named_beside_the_better_one():
    found = verdict(**shares(0.7, 0.7))
    assert found.recommendation.name == "cross-entropy"
    if found.recommendation.winner == "searched":
        assert found.reason().endswith("that is within the noise, and cross-entropy is simpler")


def test_a_broken_guard_is_told_in_the_table_and_in_the_record(tmp_path):
    found = verdict(guard={"gacc": 0.05}, **shares(0.7, 0.6))
    (table,) = write_recommendation(tmp_path, {250: found}, dict.fromkeys(LEVELS, 1.0), "32x32")
    cells = {row[0]: row[-1] for row in table.rows}
    assert cells["cross-entropy"] == "kept"
    lost = found.splits["holdout"]["searched"].differences["gacc"].value
    assert cells["searched"] == f"gacc {100 * lost:+.1f}"
    record = json.loads((tmp_path / "recommendation.json").read_text())
    assert {each["name"]: each["guard_ok"] for each in record["candidates"]}["searched"] is False
    assert record["guard"] == {"gacc": 0.05}
    assert "gacc 5." in table.caption


def test_a_table_of_the_images_of_the_choice_says_so(tmp_path):
    (table,) = write_recommendation(
        tmp_path, {250: verdict(table="holdout", **shares(0.6, 0.7))}, dict.fromkeys(LEVELS, 1.0), "32x32"
    )
    assert table.title == "Hold-out"
    assert "These images have chosen the recommended loss" in table.caption


def test_a_metric_that_is_not_defined_is_null_in_the_record(tmp_path):
    """BF1 where no image has a boundary."""
    evidence = drawn_evidence(4, 0.5, 0, metrics=("miou", "bf1"))
    evidence = type(evidence)({**evidence.sums, "bf1": {k: 0 * v for k, v in evidence.sums["bf1"].items()}}, 255)
    formulas = {name: resolve(name) for name in ("miou", "bf1")}
    field = Field({"cross-entropy": {0: evidence}}, formulas, draws=10)
    found = Verdict.of(Contest(field, "miou", LEVELS, {}), ["cross-entropy"], {"val": field}, "val")
    write_recommendation(tmp_path, {250: found}, {"cross-entropy": 1.0}, "32x32")
    (candidate,) = json.loads((tmp_path / "recommendation.json").read_text())["candidates"]
    assert candidate["scores"]["bf1"] is None
    assert math.isnan(found.splits["val"]["cross-entropy"].scores["bf1"].value)
