"""Hydra's own test suites for sweepers and launchers, run with this sweeper without a strategy."""

import pytest
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.plugins.sweeper import Sweeper
from hydra.test_utils.launcher_common_tests import BatchedSweeperTestSuite, IntegrationTestSuite, LauncherTestSuite
from hydra.version import VersionBase

from hydra_plugins.autosegloss_sweeper.sweeper import AutoSegLossSweeper

OURS = "hydra/sweeper=autosegloss"
# Hydra's suites set no version_base: jobs change their directory, and Hydra warns that this will end.
pytestmark = pytest.mark.filterwarnings("ignore:Future Hydra versions will no longer change working directory")


@pytest.fixture
def hydra_restore_singletons():
    """Replaces Hydra's fixture, which loads all plugin classes again: launchers could not pickle the old ones."""
    state = Singleton.get_state()
    state["instances"][Plugins] = Plugins.instance()
    Singleton._instances.pop(VersionBase, None)  # an earlier test may have set it
    yield
    Singleton.set_state(state)


def test_hydra_discovers_the_sweeper():
    assert AutoSegLossSweeper.__name__ in {found.__name__ for found in Plugins.instance().discover(Sweeper)}


@pytest.mark.parametrize(("launcher_name", "overrides"), [("basic", [OURS])])
class TestLaunching(LauncherTestSuite):
    pass


@pytest.mark.slow
@pytest.mark.parametrize(("launcher_name", "overrides"), [("basic", [OURS, "hydra.sweeper.max_batch_size=2"])])
class TestBatches(BatchedSweeperTestSuite):
    pass


@pytest.mark.slow
@pytest.mark.parametrize(("task_launcher_cfg", "extra_flags"), [({}, ["-m", OURS])])
class TestPrograms(IntegrationTestSuite):
    pass
