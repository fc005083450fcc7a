"""The core runs where only torch, torchmetrics, numpy and pyyaml are installed, and on systems without fcntl."""

import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import autosegloss

CORE = ("torch", "torchmetrics", "numpy", "pyyaml")
PROGRAM = Path(__file__).parent / "helpers" / "light_core.py"


def requirements(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """The names of a distribution and of all that it requires, without what its extras would add."""
    found, waiting = set(), [(canonicalize_name(name), extras)]
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in found:
            continue
        found.add((name, extras))
        for line in distribution(name).requires or ():
            wanted = Requirement(line)
            if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in extras | {""}):
                waiting.append((canonicalize_name(wanted.name), frozenset(wanted.extras)))
    return {name for name, _ in found}


@pytest.fixture(scope="module")
def light(tmp_path_factory):
    """`light(...)` runs Python where only the core's packages can be imported; gives the finished process."""
    site = tmp_path_factory.mktemp("site")
    (site / "autosegloss").symlink_to(Path(autosegloss.__file__).parent)
    for name in set().union(*map(requirements, CORE)):
        installed = distribution(name)
        for entry in {file.parts[0] for file in installed.files} - {"..", "__pycache__", "autosegloss"}:
            if not (site / entry).exists():
                (site / entry).symlink_to(installed.locate_file(entry))

    def run(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-S", *arguments],
            env={**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.slow
def test_the_core_needs_no_other_packages(light, tmp_path):
    done = light("-X", "warn_default_encoding", str(PROGRAM), str(tmp_path))
    assert done.returncode == 0, done.stderr
    remedy = 'python -m pip install "autosegloss[train]"'
    assert done.stdout == f"DistancePenalizedCrossEntropy needs scipy, not installed here: {remedy}\n"


@pytest.mark.slow
def test_a_program_that_trains_names_the_missing_extra(light):
    done = light("-c", "from autosegloss.cli.program import main; main()", "train", "loss=dice")
    remedy = 'python -m pip install "autosegloss[train]"'
    assert done.stderr == f"error: training needs hydra and pytorch_lightning, not installed here: {remedy}\n"
    assert done.returncode == 1


def test_a_loss_waits_for_no_metrics():
    """torchmetrics takes longer to import than torch."""
    program = (
        "import sys, autosegloss; autosegloss.SurrogateLoss('miou'); assert 'torchmetrics' not in sys.modules; "
        "autosegloss.segmentation_metrics; assert 'torchmetrics' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
