"""What the environment and leftover files do to a training: nothing, unless a launcher has started its processes."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch
from conftest import ROOT, TINY
from omegaconf import OmegaConf
from pytorch_lightning.plugins.environments import (
    KubeflowEnvironment,
    LightningEnvironment,
    MPIEnvironment,
    SLURMEnvironment,
)
from torch.testing import assert_close

from autosegloss.training.environment import (
    config_decides,
    deaf_to_warnings,
    local_rank,
    one_of_several,
    under_srun,
)
from autosegloss.training.trainer import make_trainer, tamed_lightning

BATCH_JOB = {"NTASKS": "1", "JOB_NAME": "x", "JOB_ID": "5", "PROCID": "0", "LOCALID": "0", "NODEID": "0"}
QUIET = ["trainer.enable_progress_bar=false", "trainer.log_every_n_steps=1"]
TRAINER = {
    "validate_every": 1,
    "trainer": {
        "_target_": "pytorch_lightning.Trainer",
        "accelerator": "cpu",
        "strategy": "ddp",
        "logger": False,
        "enable_checkpointing": False,
        "max_steps": 1,
    },
}


@pytest.fixture
def environment(monkeypatch):
    """Sets variables, after removing those of a launcher that runs the tests."""
    for name in list(os.environ):
        if name.startswith(("SLURM_", "PL_", "TORCHELASTIC_", "MASTER_")) or name.endswith(("RANK", "WORLD_SIZE")):
            monkeypatch.delenv(name)

    def be(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return be


def slurm(**variables: str) -> dict[str, str]:
    return {f"SLURM_{name}": value for name, value in {**BATCH_JOB, **variables}.items()}


def scores(folder) -> dict[str, float]:
    return json.loads((folder / "result.json").read_text())["scores"]


@pytest.fixture(scope="module")
def kept():
    return []


@pytest.fixture
def plain(command, tmp_path, kept):
    """The scores of a training without a launcher; the tests share them."""
    if not kept:
        command("train", *QUIET, "hydra.run.dir=plain")
        kept.append(scores(tmp_path / "plain"))
    return kept[0]


@pytest.mark.parametrize(
    "variables",
    [
        {**slurm(), "PL_TRAINER_LIMIT_TRAIN_BATCHES": "1", "PL_TRAINER_FAST_DEV_RUN": "1"},
        {"LOCAL_RANK": "1", "RANK": "1", "NODE_RANK": "1", "TORCHELASTIC_RUN_ID": "x"},
    ],
    ids=["slurm and arguments", "ranks"],
)
def test_leftovers_of_another_program_change_nothing(command, plain, tmp_path, environment, variables):
    (tmp_path / "run").mkdir()
    torch.save({"state_dict": {}, "pytorch-lightning_version": "2.6.4"}, tmp_path / "run/hpc_ckpt_7.ckpt")
    environment(**variables)
    assert "validation: " in command("train", *QUIET, "hydra.run.dir=run")
    assert scores(tmp_path / "run") == plain
    assert len((tmp_path / "run/log/metrics.csv").read_text().splitlines()) == 4


@pytest.mark.slow
def test_a_cluster_that_warns_a_training_neither_ends_nor_saves_nor_requeues_it(command, plain, tmp_path, environment):
    environment(**slurm())
    warned = (
        "trainer.callbacks=[{_target_:helpers.acts.Signal,name:SIGUSR1},{_target_:helpers.acts.Signal,name:SIGUSR2}]"
    )
    command("train", *QUIET, warned, "hydra.run.dir=run")
    assert scores(tmp_path / "run") == plain
    assert not list((tmp_path / "run").rglob("*.ckpt"))
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_a_cluster_that_ends_a_training_leaves_its_weights_and_one_line(command, tmp_path, environment):
    environment(**slurm())
    ended = "trainer.callbacks=[{_target_:helpers.acts.Signal,name:SIGTERM}]"
    with pytest.raises(SystemExit, match=r"^interrupted after \d of 50 steps; the weights are kept in ") as line:
        command("train", *QUIET, ended, "trainer.max_steps=50", "hydra.run.dir=run")
    assert "\n" not in str(line.value)
    assert sorted(path.name for path in (tmp_path / "run").glob("*.*")) == [
        ".hydra",
        "data.yaml",
        "failure.json",
        "weights.pt",
    ]


def test_a_cluster_that_ends_a_run_while_it_is_judged_leaves_its_weights_and_one_line(command, tmp_path):
    ended = "trainer.callbacks=[{_target_:helpers.acts.Signal,name:SIGTERM,judging:true}]"
    with pytest.raises(SystemExit, match=r"^interrupted by SIGTERM after the training, before its network was judged$"):
        command("train", *QUIET, ended, "data.eval_batch_size=2", "hydra.run.dir=run")
    assert (tmp_path / "run/weights.pt").exists()
    assert not (tmp_path / "run/result.json").exists()


def test_a_run_in_the_folder_of_another_leaves_nothing_of_it(command, tmp_path):
    command("train", *QUIET, "hydra.run.dir=run")
    other = ["save_weights=false", "notes=false", "optimizer.lr=1e30", "trainer.max_steps=4"]
    with pytest.raises(SystemExit, match="diverged"), pytest.warns(UserWarning, match="Previous log files"):
        command("train", *QUIET, "hydra.run.dir=run", *other)
    assert not {"weights.pt", "result.json", "data.yaml"} & {path.name for path in (tmp_path / "run").iterdir()}


@pytest.mark.slow
def test_a_run_may_go_on_from_the_weights_in_its_own_folder(command, tmp_path):
    command("train", *QUIET, "trainer.logger=false", "hydra.run.dir=run")
    first = torch.load(tmp_path / "run/weights.pt")
    command("train", *QUIET, "trainer.logger=false", "hydra.run.dir=run", "init_weights=run/weights.pt")
    second = torch.load(tmp_path / "run/weights.pt")
    assert any(not torch.equal(first[name], value) for name, value in second.items())


@pytest.mark.parametrize(
    ("variables", "several", "srun", "rank"),
    [
        ({}, False, False, 0),
        ({"LOCAL_RANK": "3"}, False, False, 0),
        ({"LOCAL_RANK": "3", "MASTER_PORT": "12345"}, True, False, 3),
        (slurm(), False, False, 0),
        (slurm(NTASKS="2", LOCALID="1"), False, False, 0),
        (slurm(STEP_NUM_TASKS="2", LOCALID="1"), True, True, 1),
        (
            slurm(STEP_NUM_TASKS="2") | {"TORCHELASTIC_RUN_ID": "x", "LOCAL_RANK": "1", "MASTER_PORT": "1"},
            True,
            False,
            1,
        ),
    ],
)
def test_only_torchrun_srun_and_a_launcher_by_hand_start_several_processes(environment, variables, several, srun, rank):
    environment(**variables)
    assert (one_of_several(), under_srun(), local_rank()) == (several, srun, rank)


@pytest.mark.parametrize("tasks", [1, 2])
def test_lightning_takes_srun_for_a_launcher_of_several_tasks_alone_and_requeues_nothing(environment, tmp_path, tasks):
    environment(**slurm(STEP_NUM_TASKS=str(tasks), NTASKS=str(tasks), NTASKS_PER_NODE=str(tasks)))
    cfg = OmegaConf.create(TRAINER)
    cfg.trainer.devices = tasks
    with tamed_lightning():
        found = make_trainer(cfg, tmp_path).strategy.cluster_environment
        assert not SLURMEnvironment.detect()  # with it Lightning would look for hpc_ckpt files
    assert isinstance(found, SLURMEnvironment if tasks > 1 else LightningEnvironment)
    assert tasks == 1 or not found.auto_requeue


def test_the_environment_comes_back_as_it_was(environment):
    environment(**slurm(), LOCAL_RANK="1", PL_TRAINER_DEVICES="7", UNRELATED="1")
    before = dict(os.environ)
    with config_decides():
        hidden = {name for name in before if name not in os.environ}
        assert hidden == {*slurm(), "LOCAL_RANK", "PL_TRAINER_DEVICES"}
    assert dict(os.environ) == before


def test_a_handler_of_the_user_hears_the_warning():
    heard = []
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
    try:
        with deaf_to_warnings():
            os.kill(os.getpid(), signal.SIGUSR1)
            os.kill(os.getpid(), signal.SIGUSR2)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert heard == [1]


@pytest.mark.slow
def test_the_tasks_of_srun_train_together(command, tmp_path, environment):
    """As two processes of our own do, with an old checkpoint of Lightning's in the folder."""
    together = ["trainer=ddp", "trainer.devices=2", *QUIET]
    command("train", *together, "hydra.run.dir=own")
    (tmp_path / "run").mkdir()
    torch.save({"state_dict": {}}, tmp_path / "run/hpc_ckpt_1.ckpt")
    tasks = slurm(NTASKS="2", STEP_NUM_TASKS="2", NTASKS_PER_NODE="2", JOB_ID="4242", NODELIST="127.0.0.1")
    processes = [
        subprocess.Popen(
            [sys.executable, str(ROOT / "train.py"), *TINY, *together, "hydra.run.dir=run"],
            env={**os.environ, **tasks, "SLURM_PROCID": str(task), "SLURM_LOCALID": str(task)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for task in range(2)
    ]
    printed = [process.communicate(timeout=200)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert ["validation: " in text for text in printed] == [True, False]
    assert scores(tmp_path / "run") == scores(tmp_path / "own")
    own, run = (torch.load(tmp_path / name / "weights.pt") for name in ("own", "run"))
    for name, value in own.items():
        assert_close(run[name], value, rtol=0, atol=0)


def test_mpi_is_not_started_to_look_for_other_processes(tmp_path, environment, monkeypatch):
    """Where MPI is installed and does not run, its start ends the process."""
    environment()

    def started() -> bool:
        raise AssertionError("MPI was started")

    monkeypatch.setattr(MPIEnvironment, "detect", staticmethod(started))
    with tamed_lightning():
        found = make_trainer(OmegaConf.create(TRAINER), tmp_path).strategy.cluster_environment
        assert type(found) is LightningEnvironment
        own = OmegaConf.create(TRAINER)
        own.trainer.plugins = [{"_target_": "lightning_fabric.plugins.environments.KubeflowEnvironment"}]
        environment(MASTER_ADDR="localhost", MASTER_PORT="1", WORLD_SIZE="1", RANK="0")
        assert type(make_trainer(own, tmp_path).strategy.cluster_environment) is KubeflowEnvironment
