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
    path = tmp_path / "loss.json"
    run("loss.py", "--shapes", "2,1,16,16", "--losses", "macc", "--rounds", "1", "--json", str(path))
    (page,) = json.loads(path.read_text())
    assert list(page["losses"]) == ["cross-entropy", "macc"]
    assert all(row["seconds"] > 0 for row in page["losses"].values())


def test_an_example_of_volumes():
    example = ROOT / "examples/volumes.py"
    printed = run(example, "--steps", "1", "--train", "2", "--test", "1")
    assert [line.split()[0] for line in printed.splitlines()] == ["ce", "dice", "ce+nsd"]


def test_compiled_steps():
    out = run("compiled.py", "--shape", "1,3,16,16", "--losses", "miou", "--rounds", "1", "--backend", "aot_eager")
    assert out.splitlines()[-1].split()[4:6] == ["1", "0"]  # graphs, breaks


def test_metrics():
    assert "all six" in run("metrics.py", "--shape", "1,3,16,16", "--rounds", "1")


def test_numbers_of_other_tools_that_are_here():
    """It ends in an error where one that is said to be ours is another."""
    printed = run("tools.py", "--scenes", "4")
    assert "| torchmetrics " in printed
    assert "| segmentation-models-pytorch " in printed


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
    assert run("demos.py", *arguments, "--only-collect").count("bf1") == 2


def test_scales(tmp_path):
    out = tmp_path / "scales.jsonl"
    tiny = [override for override in TINY if not override.startswith("trainer.max_steps")]
    options = ["--out", str(out), "--losses", "dice", "identity macc", "--scales", "1", "--steps", "12"]
    arguments = [*options, "--", *tiny, "data.holdout=8"]
    run("scales.py", *arguments)
    first = out.read_text()
    records = [json.loads(line) for line in first.splitlines()]
    assert [record["loss"] for record in records] == ["dice", "identity macc"]
    assert all(list(record["marks"]) == ["0", "2", "4", "8", "12"] for record in records)
    run("scales.py", *arguments)
    assert out.read_text() == first


def test_thetas_pack_into_a_landscape(tmp_path):
    """On a CPU without graphs; two trainings of a second lane do not disturb the first."""
    out, tiny = tmp_path / "thetas.jsonl", [one for one in TINY if not one.startswith("trainer.max_steps")]
    run(
        "thetas.py",
        "--out",
        str(out),
        "--count",
        "3",
        "--metrics",
        "macc",
        "--marks",
        "1",
        "2",
        "3",
        "--lanes",
        "2",
        "--",
        *tiny,
        "data.holdout=8",
    )
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert [record["key"] for record in records] == ["theta macc 0", "theta macc 1", "theta macc 2"]
    assert all(list(record["holdout"]) == ["1", "2", "3"] and 0 <= record["val"]["macc"] <= 1 for record in records)


def test_simulated_searches():
    printed = run("strategies.py", "miou", "--repeats", "1", "--steps", "1", "--budgets", "5000")
    assert all(name in printed for name in ("random, 80", "cmaes, 250", "race cmaes"))
