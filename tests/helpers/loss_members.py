"""The losses of conf/loss, each made as a training makes it: a new yaml is tested without a line here."""

from functools import lru_cache

import pytest
import torch
from helpers.members import CONF, slow
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import nn

NAMES = sorted(path.stem for path in (CONF / "loss").glob("*.yaml"))
SURROGATES = [name for name in NAMES if name.startswith("searched") or name in ("naive", "surrogate", "mixed")]
GROUPS = ["+metric=miou", "+curve=bezier", "+theta=null", "+classes=all"]
COUNTS = (40, 10, 30)  # pixels of the classes in a training set

QUICK = [name for name in NAMES if not name.startswith("searched_") or name in ("searched_miou", "searched_bf1")]
every_loss = pytest.mark.parametrize("name", [*QUICK, *slow([(name,) for name in NAMES if name not in QUICK])])
"""Of the cards, which are one loss with several thetas, the quick suite takes two."""


@lru_cache
def made(name: str, ignore_index: int = 255, task: str = "multiclass", counts: tuple[int, ...] = COUNTS) -> nn.Module:
    """The loss of conf/loss/`name`.yaml; class weights are measured on `counts`."""
    card = ["loss.theta=miou"] if name == "searched" else []
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose(overrides=[*GROUPS, f"+task={task}", f"+loss={name}", *card])
        loss = instantiate(cfg.loss, ignore_index=ignore_index)
    for part in loss.modules():
        if hasattr(part, "measure"):
            part.measure(torch.tensor(counts))
    return loss
