"""Crews that train: data and weights are read once, and one run does not change the next."""

import json
import os
import signal
from itertools import count
from pathlib import Path

import pytest
import torch
from conftest import TINY
from helpers.members import CONF
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from runtime.conftest import alive

from autosegloss.runtime import Request, close_crews, crew_of
from autosegloss.training.outcome import FAILURE, Failure, Result, log_name

pytestmark = pytest.mark.slow
THETAS = [[0.5] * 12, [0.1, 0.9] * 6, [0.7] * 12]


class Trainings:
    """Tiny trainings on `size` CPUs, each in a folder of its own."""

    def __init__(self, folder: Path, size: int):
        self.folder, self.size, self.runs = folder, size, count()
        self.last = folder

    def __call__(self, *overrides: str, act: str | None = None, console: bool = False) -> dict[str, float] | Failure:
        """The scores of a training with this act of acts.py, e.g. "Die,rank:1"; its failure if it has none."""
        many = [f"trainer.devices={self.size}", "+trainer.strategy=ddp"] if self.size > 1 else []
        acts = [f"+trainer.callbacks=[{{_target_:helpers.acts.{act}}}]"] if act else []
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose("search", [*TINY, *many, "trainer.max_steps=3", *acts, *overrides])
        self.last = self.folder / str(next(self.runs))
        request = Request(OmegaConf.to_container(cfg, resolve=True), str(self.last), console)
        outcome = crew_of(self.size).train(request, timeout=60)
        if isinstance(outcome, Failure):
            assert json.loads((self.last / FAILURE).read_text()) == vars(outcome)
            return outcome
        assert Result.load(self.last) == outcome
        return outcome.scores

    def processes(self) -> list[int]:
        return crew_of(self.size).pids

    def log(self, rank: int = 0) -> str:
        return (self.last / log_name(rank)).read_text()


def trainings_of(size: int, folder: Path):
    """With a crew that the tests of this file share, and no other."""
    close_crews()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=os.pathsep)
        patch.setenv("OMP_NUM_THREADS", "1")
        yield Trainings(folder, size)
        close_crews()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    yield from trainings_of(1, tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    yield from trainings_of(2, tmp_path_factory.mktemp("together"))


@pytest.fixture(scope="module")
def start_weights(alone):
    """weights.pt of a training."""
    alone("save_weights=true")
    return alone.last / "weights.pt"


def test_data_are_decoded_and_weights_loaded_once_for_all_trainings(alone, start_weights):
    seen = []
    for theta in (THETAS[0], THETAS[1]):
        alone(f"theta={theta}", f"init_weights={start_weights}", act="Tell")
        seen.append(alone.log())
    assert seen == [f"{alone.processes()[0]} 1 1\n"] * 2  # a part of the training split is validated on


def test_a_process_that_has_begun_without_work_logs_where_its_work_is(alone):
    close_crews()
    crew_of(1).begin()
    begun = alone.processes()
    alone(act="Tell")
    assert alone.processes() == begun
    assert alone.log().split()[0] == str(begun[0])


def test_weights_that_were_written_anew_are_loaded_anew(alone, start_weights, tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(start_weights.read_bytes())
    before = alone(f"init_weights={path}")
    torch.save({name: value + 1 for name, value in torch.load(path).items()}, path)
    assert alone(f"init_weights={path}") != before


def test_one_training_does_not_show_in_the_next(alone):
    scores = [alone(f"theta={theta}", "seed=1", "optimizer=sgd") for theta in [*THETAS, *THETAS]]
    assert scores[:3] == scores[3:]
    assert scores[0] != scores[1]


def test_a_training_that_diverges_or_cannot_begin_leaves_the_process_to_the_next(alone):
    before, scores = alone.processes(), alone()
    assert alone("optimizer.lr=1e30") == Failure("diverged", "the training diverged: its loss is nan after 2 steps")
    mistake = alone("data.batch_size=1000")
    assert mistake.kind == "mistake"
    assert mistake.message.startswith("18 training samples do not fill one batch of 1000")
    assert alone("init_weights=???") == Failure("mistake", "init_weights is not given: set init_weights=VALUE")
    assert alone() == scores
    assert alone.processes() == before


def test_a_training_that_raises_shows_why_and_ends_the_process(alone):
    alone()
    before = alone.processes()
    assert alone(act="Fail") == Failure("failed", "ValueError: not my day")
    assert "Traceback" in alone.log()
    assert not any(map(alive, before))


def test_several_processes_train_together_again_and_again(together):
    before = together.processes()
    scores = [together(f"theta={theta}", "optimizer=sgd") for theta in [*THETAS, *THETAS]]
    assert scores[:3] == scores[3:]
    assert scores[0] != scores[1]
    assert together.processes() == before
    together(act="Tell")
    told = [together.log(rank).split() for rank in (0, 1)]
    assert told == [[str(process), "1", "0"] for process in before]


def test_all_end_with_the_one_that_dies_and_each_leaves_its_log(together):
    together("theta=null")
    before = together.processes()
    assert "rank 1: the process of the training was killed by SIGKILL" in together(act="Die,rank:1").message
    assert not any(map(alive, before))
    assert all((together.last / log_name(rank)).exists() for rank in (0, 1))
    assert not (together.last / "result.json").exists()


def test_an_interrupt_keeps_the_weights_and_says_how_far_it_came(together):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell makes us deaf to it
    overrides = ["trainer.max_steps=10000", "save_weights=true"]
    try:
        with pytest.raises(KeyboardInterrupt, match=r"after \d+ of 10000 steps; the weights are kept in"):
            together(*overrides, act=f"Interrupt,process:{os.getpid()}", console=True)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (together.last / "weights.pt").exists()
