"""Every member of every family, read from the configuration: a new yaml is tested without a line here."""

from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from autosegloss.curves import Bezier, Linear
from autosegloss.theta_card import shipped_cards

CONF = Path(__file__).parents[2] / "conf"


def members(group: str) -> dict:
    """The objects of one configuration group by file name."""
    return {path.stem: instantiate(OmegaConf.load(path)) for path in sorted((CONF / group).glob("*.yaml"))}


METRICS = members("metric")
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

every_metric = pytest.mark.parametrize("formula", METRICS.values(), ids=METRICS)
every_card = pytest.mark.parametrize("card", shipped_cards())
