"""The recommendation: lower bounds, simpler candidates, guards."""

import pytest
from helpers.evidence import FORMULAS, drawn_evidence

from autosegloss.errors import InputError
from autosegloss.formulas import PAPER
from autosegloss.ranking import Contest, Evidence, Field, guard_of

METRICS = ("gacc", "macc", "miou")
LEVELS = {"cross-entropy": 0, "dice": 1, "lovasz": 1, "identity": 2, "searched": 4}


def contest(guard=None, target="miou", **shares: float | list[float]) -> Contest:
    """Candidates whose trainings, of three seeds or of as many as shares are given, predict these shares right."""
    runs = {}
    for place, (name, share) in enumerate(shares.items()):
        each = share if isinstance(share, list) else [share] * 3
        own = {seed: drawn_evidence(60, right, 10 * place + seed, metrics=METRICS) for seed, right in enumerate(each)}
        runs["cross-entropy" if name == "ce" else name] = own
    return Contest(Field(runs, FORMULAS, draws=300), target, LEVELS, guard or {})


def without_macc(evidence: Evidence) -> Evidence:
    """The same predictions, judged as if no pixel of mAcc were right."""
    macc = {name: value if name == "true" else 0 * value for name, value in evidence.sums["macc"].items()}
    return Evidence({**evidence.sums, "macc": macc}, evidence.ignore_index)


def test_a_candidate_that_is_clearly_ahead_is_recommended():
    found = contest(ce=0.5, dice=0.6, searched=0.7).recommended(["cross-entropy", "dice", "searched"])
    assert (found.name, found.winner, found.margin) == ("searched", "searched", None)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({"ce": 0.7, "dice": 0.5, "searched": 0.6}, "cross-entropy"),
        ({"ce": 0.5, "dice": 0.7, "searched": 0.7}, "dice"),
        ({"ce": 0.5, "dice": 0.6, "lovasz": 0.7, "searched": 0.7}, "lovasz"),
        ({"ce": 0.5, "identity": [0.695, 0.705, 0.7], "searched": 0.7}, "identity"),
        ({"ce": [0.6, 0.7, 0.8], "searched": [0.8, 0.7, 0.61]}, "cross-entropy"),
    ],
)
def test_a_simpler_candidate_is_recommended_where_nothing_beats_it_beyond_the_noise(shares, expected):
    found = contest(**shares)
    recommended = found.recommended(list(found.field.runs))
    assert recommended.name == expected
    if recommended.name != recommended.winner:
        margin = found.field.difference(recommended.winner, recommended.name, "miou")
        assert recommended.margin == margin
        assert margin.value <= margin.stderr


def test_the_best_lower_bound_wins_and_not_the_best_mean():
    steady, lucky = [0.65, 0.65, 0.65], [0.95, 0.5, 0.55]
    found = contest(ce=0.5, dice=steady, lovasz=lucky)
    assert found.field.mean("lovasz", "miou").value > found.field.mean("dice", "miou").value
    assert found.recommended(list(found.field.runs)).name == "dice"


def test_a_candidate_that_breaks_the_guard_ranks_below_all_that_keep_it():
    found = contest(guard={"macc": 0.0}, target="gacc", ce=0.6, dice=0.68, searched=0.9)
    found.field.runs["searched"].update({seed: without_macc(own) for seed, own in found.field.runs["searched"].items()})
    assert list(found.broken("searched")) == ["macc"]
    assert found.broken("searched")["macc"] == pytest.approx(-found.field.mean("cross-entropy", "macc").value)
    assert found.ranked(list(found.field.runs))[-1] == "searched"
    assert found.recommended(list(found.field.runs)).name == "dice"
    assert found.promoted(list(found.field.runs), 1) == ["cross-entropy", "dice"]


def test_promoted_are_the_baseline_and_the_best_others():
    found = contest(ce=0.6, dice=[0.5], lovasz=[0.8], searched=[0.7])
    assert found.promoted(list(found.field.runs), 2) == ["cross-entropy", "lovasz", "searched"]


def test_without_cross_entropy_the_simplest_candidate_is_the_baseline():
    found = contest(identity=0.5, searched=0.7, dice=0.6)
    assert found.baseline == "dice"
    assert found.recommended(list(found.field.runs)).name == "searched"


@pytest.mark.parametrize("target", PAPER)
def test_metrics_of_boundaries_have_a_guard_unless_it_is_taken_off(target):
    assert guard_of(None, target, PAPER) == ({"miou": 0.01} if target in ("biou", "bf1") else {})
    assert guard_of({}, target, PAPER) == {}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"iou": 0.01}, r"^unknown metric of guard 'iou': choose one of .*miou"),
        ({"bf1": 0.01}, "^guard: bf1 is the metric that is searched for: guard others"),
        ({"miou": -1}, "^guard: miou may lose a share from 0 to 1, as 0.01 for one point, got -1"),
        ({"miou": "a lot"}, "^guard: miou may lose a share from 0 to 1, .*got 'a lot'"),
        ({"miou": 2}, "^guard: miou may lose a share from 0 to 1"),
        ("miou", r"^guard: expected metrics and what each may lose, as guard=\{miou: 0.01\}, got 'miou'"),
        (0.01, "^guard: expected metrics"),
    ],
)
def test_another_guard_is_refused_in_one_line(setting, message):
    with pytest.raises(InputError, match=message):
        guard_of(setting, "bf1", PAPER)
