"""Crews of workers that do what they are told without the heavy imports, and configs for crews that train."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

import autosegloss
from autosegloss.runtime import Crew, Request

LIGHT = [
    "errors.py",
    "files.py",
    *(f"runtime/{name}.py" for name in ("member", "crew", "devices", "owner", "relay", "worker")),
    "training/environment.py",
    "training/outcome.py",
]

TOLD = '''
from autosegloss.training.outcome import Failure, Result

def run(config, folder):
    """Executes a text, which may set `outcome`."""
    told = {"folder": folder, "config": config, "outcome": Result({}, {}, 0.0), "Failure": Failure}
    exec(config["do"], told)
    return told["outcome"]
'''


class Lab:
    """Crews whose workers are the real ones, but execute a text of Python in the place of a training.

    `package` holds the modules of autosegloss that this takes, in a folder of PYTHONPATH; logs go below `runs`.
    """

    def __init__(self, package: Path, runs: Path):
        self.package, self.runs, self.crews = package, runs, []

    def crew(self, size: int = 1, **seconds: float) -> Crew:
        self.crews.append(Crew(size, **seconds))
        return self.crews[-1]

    def request(self, do: str, run: str = "run", console: bool = False, **config: object) -> Request:
        return Request({"do": f"import os, signal, sys, time\n{do}", **config}, str(self.runs / run), console)

    def log(self, run: str = "run", rank: int = 0) -> str:
        return (self.runs / run / (f"run.rank{rank}.log" if rank else "run.log")).read_text()


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A `Lab` in an empty folder."""
    package = tmp_path / "modules/autosegloss"
    for name in ("", "runtime", "training"):
        (package / name).mkdir(parents=True)
        (package / name / "__init__.py").touch()
    for name in LIGHT:
        shutil.copy(Path(autosegloss.__file__).parent / name, package / name)
    (package / "training/run.py").write_text(TOLD)
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    lab = Lab(package, tmp_path)
    yield lab
    for crew in lab.crews:
        crew.close()


def alive(process: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def ends(process: int, seconds: float = 5) -> bool:
    """Whether it has ended so many seconds later; it has afterwards."""
    deadline = time.monotonic() + seconds
    while alive(process):
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
            return False
        time.sleep(0.02)
    return True


def until(holds, seconds: float = 20) -> None:
    """Wait for it."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
