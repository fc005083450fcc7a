"""A search through each of Hydra's launchers: what fails is tried again, what is killed leaves nothing running."""

import signal
from importlib.util import find_spec

import pytest
from helpers.faults import Fault, met, plan
from helpers.searches import Running, failures, findings, runs

pytestmark = pytest.mark.slow
LAUNCHERS = {  # tests of races and of chaos are those of one worker
    "two_workers": ["workers=2"],
    "submitit_local": ["hydra/launcher=submitit_local", "hydra.sweeper.max_batch_size=2"],
    "ray": ["hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2"],
}
SEARCH = [
    "metric=macc",
    "data.holdout=8",
    "trainer.max_steps=15",  # fewer leave all trials with the same score
    "hydra/sweeper=ppo",
    "hydra.sweeper.rungs=[]",
    "hydra.sweeper.samples=2",
    "hydra.sweeper.warmup=null",
    "hydra.sweeper.finalists=0",
    "hydra.sweeper.comparison_seeds=[]",
]
ALONE = [*SEARCH, "hydra.sweeper.steps=2", "hydra.sweeper.max_retries=3", "hydra.sweeper.trial_timeout=8"]
TOGETHER = [*SEARCH, "hydra.sweeper.steps=1", "trainer=ddp", "trainer.devices=2"]
DIVERGES = {"step_0001/trial_001": [Fault("nan")]}
FAILS = {
    "step_0000/trial_000": [Fault("raise", "step"), Fault("memory", "step"), Fault("kill", "step")],
    "step_0000/trial_001": [Fault("exit", "end"), Fault("hang")],
}
LOSES = {"step_0001/trial_000": [Fault("launcher", "step")]}
FEW = {"step_0000/trial_001": FAILS["step_0000/trial_001"][:1]}  # launchers that start a process for each trial
MESSAGES = {
    "step_0000/trial_000": [
        "RuntimeError: raised on purpose",
        "out of memory on purpose: set data.batch_size, data.eval_batch_size or trials_per_gpu lower",
        "the process of the training was killed by SIGKILL",
    ],
    "step_0000/trial_001": ["the process of the training ended with exit code 3", "no result after 8 seconds"],
}


@pytest.fixture(scope="module", params=LAUNCHERS)
def launcher(request):
    # the others come with the extra "test": where one is missing, that is an error
    if request.param == "ray" and not find_spec("hydra_plugins.hydra_ray_launcher"):
        pytest.skip('hydra-ray-launcher is not installed here: python -m pip install -e ".[ray]"')
    return request.param


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("searches")


@pytest.fixture(scope="module")
def undisturbed(folder):
    """What a search finds in one process, one trial after the other, of which one diverges."""
    return _found(folder / "undisturbed", *ALONE, plan(folder / "undisturbed_faults", DIVERGES))


@pytest.fixture(scope="module")
def together(folder):
    """What a search finds whose trials train in two processes each."""
    return _found(folder / "together", *TOGETHER)


def _found(directory, *arguments):
    search = Running.fresh(directory, *arguments)
    assert search.finish() == 0, search.tail()
    return findings(directory)


def test_trials_that_raise_die_or_hang_are_tried_again_and_the_search_finds_the_same(launcher, folder, undisturbed):
    directory, faults = folder / f"fails_{launcher}", folder / f"fails_{launcher}_faults"
    planned = (FAILS if launcher == "two_workers" else FEW) | DIVERGES | LOSES
    found = _found(directory, *ALONE, *LAUNCHERS[launcher], plan(faults, planned))
    assert sum(met(faults).values()) == sum(map(len, planned.values())) - 1  # all but the nan, which lasts
    records = {run: [record for record in failures(directory) if record["run"] == run] for run in planned}
    for run in MESSAGES.keys() & planned.keys():
        messages = MESSAGES[run][: len(planned[run])]
        assert [record["message"] for record in records[run]] == messages
        assert [record["status"] for record in records[run]] == ["failed"] * len(messages)
        assert [record["attempt"] for record in records[run]] == list(range(1, len(messages) + 1))
    (diverged,) = DIVERGES
    # what a launcher was to run beside a process of it that dies may be lost, too, but only that
    assert [record["status"] for record in records[diverged]].count("diverged") == 1
    assert found == undisturbed


def test_a_killed_search_leaves_no_process_and_goes_on_to_the_same_end_with_two_devices(launcher, folder, together):
    directory, arguments = folder / f"killed_{launcher}", [*TOGETHER, *LAUNCHERS[launcher]]
    search = Running.fresh(directory, *arguments)
    _kill(search, signal.SIGKILL, lambda: len(runs(directory)) >= 1)
    for number in (signal.SIGTERM, signal.SIGINT) if launcher == "two_workers" else (signal.SIGINT,):
        search = Running.resumed(directory)
        _kill(search, number, search.trains)
        assert "go on with: python search.py resume=" in search.tail()
        # processes of other launchers that Ctrl-C interrupts, too, say so with one
        assert launcher != "two_workers" or "Traceback" not in search.tail()
    search = Running.resumed(directory)
    assert search.finish() == 0, search.tail()
    assert findings(directory) == together


def _kill(search, number, when):
    try:
        assert search.wait_until(when), search.tail()
        search.end(number)
        assert search.orphans() == {}
    finally:
        search.clear()
