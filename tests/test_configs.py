"""Every configuration composes, and every object it names can be made."""

import inspect
from pathlib import Path

import pytest
import torch
from helpers.loss_members import every_loss, made
from helpers.members import CONF
from helpers.networks import NAMES as NETWORKS
from helpers.networks import built
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import nn

from autosegloss.search import CMAES, PPO, RandomSearch


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def composed(entry: str, *overrides: str):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(entry, list(overrides), return_hydra_config=True)


def turns(*groups: str) -> list[dict[str, str]]:
    """Choices of one member of each group; all of them together have every member."""
    count = max(len(names(group)) for group in groups)
    return [{group: names(group)[turn % len(names(group))] for group in groups} for turn in range(count)]


@pytest.mark.parametrize(
    ("turn", "chosen"),
    [*enumerate(turns("metric", "curve", "data", "network", "optimizer", "schedule", "trainer"))],
)
def test_every_choice_composes(turn, chosen):
    """A search has all groups of a training; the two take turns."""
    cfg = composed(("search", "train")[turn % 2], *(f"{group}={name}" for group, name in chosen.items()))
    assert all(cfg[group] for group in chosen)
    assert cfg.trainer.use_distributed_sampler is False  # the samplers shard by themselves


@every_loss
def test_every_loss_is_made_with_the_ignore_index_of_the_data(name):
    loss = made(name, ignore_index=7)
    assert isinstance(loss, nn.Module)
    assert loss.ignore_index == 7


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_made(name):
    with torch.device("meta"):  # without weights
        assert hasattr(built(name, classes=3), "encoder")


@pytest.mark.parametrize(("name", "sweeper"), [*((name, "ppo") for name in names("profile")), ("demo", "random")])
def test_every_profile_and_every_sweeper_composes(name, sweeper):
    settings = composed("search", f"profile={name}", f"hydra/sweeper={sweeper}").hydra.sweeper
    assert settings.steps * settings.samples > 0
    assert issubclass(
        {"cmaes": CMAES, "ppo": PPO, "random": RandomSearch}[sweeper], instantiate(settings.strategy).func
    )


def test_the_paper_profile_has_the_numbers_of_appendix_a():
    cfg = composed("search", "profile=paper")
    sweeper, optimizer = cfg.hydra.sweeper, cfg.optimizer
    assert (sweeper.steps, sweeper.samples, sweeper.sigma) == (20, 32, 0.2)
    assert (sweeper.strategy.epsilon, sweeper.strategy.updates, sweeper.strategy.ratio) == (0.1, 100, "joint")
    assert (sweeper.finalists, sweeper.warmup) == (0, None)
    assert (optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (0.02, 0.9, 5e-4)
    assert (cfg.schedule.power, cfg.schedule.min_lr, optimizer.head_multiplier) == (0.9, 1e-4, 10)
    assert (cfg.trainer.max_steps, cfg.data.batch_size, list(cfg.data.size)) == (1000, 32, [128, 128])
    assert cfg.network.encoder_name == "resnet50"


def test_settings_of_ppo_stand_in_conf_as_in_the_class():
    """The defaults of the class, for use without Hydra, equal those of conf/."""
    strategy = composed("search").hydra.sweeper.strategy
    defaults = {name: p.default for name, p in inspect.signature(PPO.__init__).parameters.items()}
    assert {key: value for key, value in strategy.items() if not key.startswith("_")}.items() <= defaults.items()


def test_configs_name_no_path_of_a_machine():
    for path in Path(CONF).rglob("*.yaml"):
        assert "/home/" not in path.read_text()
