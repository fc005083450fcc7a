"""The parts of the GPU check that train, on the CPU and tiny: trials, trials side by side, searches."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT

pytestmark = pytest.mark.slow


def lines(part, folder):
    """The measurements of a part; none of them may have failed."""
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu_check.py"), "--dry", "--part", str(part)]
    done = subprocess.run([*command, "--out", str(folder), "--limit", "400"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (folder / "lines.jsonl").read_text().splitlines()]
    assert not [row for row in rows if "error" in row]
    assert rows[-1]["ended"] == "finished"
    return [row for row in rows if row["part"] != "environment"]


def test_the_parts_of_a_step_are_the_step(tmp_path):
    rows = lines(3, tmp_path)
    trials = [row for row in rows if row.get("what") == "trial"]
    assert all(row["trial_seconds"] > row["evaluation_seconds"] > 0 for row in trials)
    steps = [row for row in rows if row.get("what") == "step"]
    assert {row["loss"] for row in steps} == {"searched_miou", "searched_bf1", "cross_entropy"}
    parts = ("data", "network, forward", "loss, forward", "loss, backward", "network, backward", "optimiser")
    assert all(row[f"ms, {part}"] >= 0 for row in steps for part in parts)


def test_trials_side_by_side(tmp_path):
    rows = [row for row in lines(4, tmp_path) if "side_by_side" in row]
    assert [row["side_by_side"] for row in rows] == [1, 2]
    assert all(row["trials_per_hour"] > 0 and row["threads"] == 1 for row in rows)


def test_searches(tmp_path):
    targets = {row["what"]: row for row in lines(5, tmp_path) if "target" in row}
    assert {what: row["ok"] for what, row in targets.items()} == {
        "undisturbed": True,
        "memory": True,
        "resume": True,
        "leases": None,
    }
    assert targets["resume"]["measured"] == "the same records"
