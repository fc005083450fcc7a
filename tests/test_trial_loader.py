"""The quick way to the config of a trial gives what Hydra's own way gives."""

import pytest
from helpers.members import CONF
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from hydra_plugins.autosegloss_sweeper._loader import TrialLoader

TRIALS = [
    ["metric=macc", "theta=[0.25,1e-05,0.5]", "hydra.sweep.dir='/a b/c'", "hydra.sweep.subdir=step_0000/trial_000"],
    ["metric=macc", "theta=[0.5,0.5,0.5]", "hydra.sweep.dir='/a b/c'", "hydra.sweep.subdir=step_0000/trial_001"],
    ["profile=paper", "data=folder", "data.source.root=x", "theta=[1.0]", "hydra.sweep.subdir=step_0001/trial_000"],
    ["loss=dice", "hydra.sweeper.trial_timeout=null", "hydra.sweep.subdir=comparison/dice"],
]


def plain(config) -> dict:
    return OmegaConf.to_container(config, resolve=False)


@pytest.mark.parametrize("hydra_override", [[], ["hydra.sweeper.steps=3", "hydra/sweeper=random"]])
def test_a_trial_has_the_config_that_hydra_gives_it(hydra_override):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        master = loader.load_configuration("search", ["seed=3", *hydra_override], run_mode=RunMode.MULTIRUN)
        quick = TrialLoader(loader)
        for trial in [*TRIALS, *TRIALS]:
            assert plain(quick.load_sweep_config(master, trial)) == plain(loader.load_sweep_config(master, trial))


def test_one_trial_does_not_change_the_config_of_the_next():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        master = loader.load_configuration("search", [], run_mode=RunMode.MULTIRUN)
        quick = TrialLoader(loader)
        first = quick.load_sweep_config(master, TRIALS[0])
        first.seed = 99
        first.hydra.overrides.task.append("seed=99")
        assert plain(quick.load_sweep_config(master, TRIALS[0])) == plain(loader.load_sweep_config(master, TRIALS[0]))
