"""The scripts that figures come from still run, on next to nothing."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT, TINY

pytestmark = pytest.mark.slow


def run(script, *arguments):
    command = [sys.executable, str(ROOT / "benchmarks" / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_losses(tmp_path):
    run("loss.py", "--shapes", "2,3,16,16", "--losses", "macc", "--rounds", "1", "--json", str(tmp_path / "loss.json"))
    (page,) = json.loads((tmp_path / "loss.json").read_text())
    assert list(page["losses"]) == ["cross-entropy", "macc", "macc, dense"]
    assert all(row["seconds"] > 0 for row in page["losses"].values())


def test_metrics():
    assert "all six" in run("metrics.py", "--shape", "1,3,16,16", "--rounds", "1")


def test_parts_of_a_trial(tmp_path):
    run("search.py", *TINY, "data.holdout=8", "--json", str(tmp_path / "trial.json"))
    page = json.loads((tmp_path / "trial.json").read_text())
    assert min(page["seconds"][part] for part in ("network", "loss", "optimiser", "data", "evaluation")) > 0
    assert sum(page["seconds"].values()) == pytest.approx(page["marked_seconds"], rel=0.5)


def test_demos(tmp_path):
    settings = ["hydra.sweeper.steps=1", "hydra.sweeper.samples=4", "hydra.sweeper.rungs=[1]", "hydra.sweeper.keep=2"]
    small = [
        *TINY,
        "data.holdout=8",
        "workers=1",
        *settings,
        "hydra.sweeper.final_seeds=1",
        "hydra.sweeper.finalists=1",
    ]
    arguments = ["--metrics", "bf1", "--seeds", "3", str(tmp_path)]
    assert "1 of 1 keep the guards" in run("demos.py", *arguments, *small)
    (record,) = json.loads((tmp_path / "demos.json").read_text())
    assert (record["metric"], record["seed"]) == ("bf1", 3)
    assert record["seconds"] > 0
    assert run("demos.py", *arguments, "--only-collect").count("bf1") == 1
