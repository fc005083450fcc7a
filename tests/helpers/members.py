"""Every member of every family, read from the configuration: a new yaml is tested without a line here."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hydra.utils import instantiate
from hypothesis import strategies as st
from omegaconf import OmegaConf

from autosegloss.curves import Bezier, CurveFamily, Linear
from autosegloss.formulas import PAPER
from autosegloss.theta_card import shipped_cards

CONF = Path(__file__).parents[2] / "conf"


def members(group: str) -> dict:
    """The objects of one configuration group by file name."""
    return {path.stem: instantiate(OmegaConf.load(path)) for path in sorted((CONF / group).glob("*.yaml"))}


METRICS = members("metric")
PLANS = {type(formula).statistics for name, formula in METRICS.items() if name in PAPER}
SCORES = {name for name, formula in METRICS.items() if name not in PAPER and type(formula).statistics in PLANS}
"""The metrics that have the sums of one of the paper's, so that only their score is new."""
CURVES = {
    **members("curve"),
    "bezier_1": Bezier(pieces=1),
    "bezier_3": Bezier(pieces=3),
    "linear_1": Linear(pieces=1),
    "linear_9": Linear(pieces=9),
}
ABLATIONS = {
    "free_ends": Bezier(truth_table=False),
    "free_heights": Bezier(monotone=False),
    "free": Bezier(truth_table=False, monotone=False),
}

FAMILIES = CURVES | ABLATIONS


def numbers_of(family: CurveFamily) -> st.SearchStrategy[float]:
    """Parameters of a curve: in [0, 1] and often 0 or 1, or real numbers and often large."""
    if family.interval == (0, 1):
        return st.sampled_from([0.0, 1.0]) | st.floats(0, 1)
    return st.sampled_from([0.0, 300.0, -300.0]) | st.floats(-5, 5)


def quickly(name: str, score: bool = False) -> list:
    """The marks of a formula: tests of its sums are slow where another formula has the same; `score` says of what."""
    return [pytest.mark.slow] if name in SCORES and not score else []


def of_each(score: bool) -> pytest.MarkDecorator:
    """A test of each metric: of its score, or of its sums."""
    cases = [pytest.param(formula, id=name, marks=quickly(name, score)) for name, formula in METRICS.items()]
    return pytest.mark.parametrize("formula", cases)


def covering(formulas: dict, others: dict, partners: Sequence[str] = ("miou", "bf1"), score: bool = False) -> list:
    """Pairs of a formula and another member as parameters of a test, without the whole product.

    Every formula meets the first of the others; every other meets the partners. mIoU has its sums computed by the
    kernels; BF1 is read on maps and uses AND, OR and XOR. So these two meet each curve in each place that applies it.
    """
    first = next(iter(others))
    pairs = [(formula, first) for formula in formulas] + [(partner, other) for other in others for partner in partners]
    return [
        pytest.param(formulas[f], others[o], id=f"{f}-{o}", marks=quickly(f, score)) for f, o in dict.fromkeys(pairs)
    ]


def slow(cases: Sequence[tuple]) -> list:
    """Parameters of a test that the quick suite leaves out: it takes a few of each kind."""
    return [pytest.param(*case, marks=pytest.mark.slow) for case in cases]


every_metric, every_score = of_each(score=False), of_each(score=True)
every_scored_pair = pytest.mark.parametrize(("formula", "curve"), covering(METRICS, CURVES, score=True))
every_pair = pytest.mark.parametrize(("formula", "curve"), covering(METRICS, CURVES))
every_pair_and_ablation = pytest.mark.parametrize(("formula", "curve"), covering(METRICS, FAMILIES))
every_card = pytest.mark.parametrize("card", shipped_cards())
