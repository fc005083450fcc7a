"""Whether all of it runs on the GPU of this machine, and what it costs there, in ten minutes.

    python benchmarks/gpu_check.py                    # all parts, into benchmarks/results/DATE-DEVICE
    python benchmarks/gpu_check.py --part 1 2 --out FOLDER --limit 60
    python benchmarks/gpu_check.py --dry              # the same code on the CPU, tiny, in Triton's interpreter
    python benchmarks/gpu_check.py --summary FOLDER   # the summary once more

Parts: 1 correctness against float64, 2 what losses cost, 3 the paper's trial, 4 trials side by side, 5 a search,
6 metrics and waits for the device. Each runs in a process of its own with a time limit. Every measurement is appended
to `lines.jsonl` when it is finished, and the check can be stopped at any time: `summary.md` is made of what is there.
Where the folder that --out names has lines already, those of the parts that run are replaced.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path

from gpu import PARTS, record, summary

HERE = Path(__file__).resolve().parent
GRACE = 5  # seconds that a part has for its end
INTERPRETED = {"TRITON_INTERPRET": "1"}  # for a dry run of the kernels, which takes long


def main() -> int:
    options = _options()
    if options.summary:
        print(summary.write(options.summary))
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as first:  # results of earlier runs stay if there is no GPU
        _run("environment", Path(first), options.limit, options.dry)
        environment = record.read(Path(first))
    if not options.dry and not any(line.get("capability") for line in environment):
        print("torch sees no GPU on this machine: --dry runs on the CPU")
        return 1
    folder = options.out or _default_folder(options.dry)
    folder.mkdir(parents=True, exist_ok=True)
    record.forget(folder, "environment")
    for line in environment:
        record.append(folder, line)
    return _run_parts([PARTS[number] for number in options.part], folder, options)


def _run_parts(parts: Sequence[str], folder: Path, options: argparse.Namespace) -> int:
    try:
        for part in parts:
            record.forget(folder, part)
            _run(part, folder, options.limit, options.dry)
    except KeyboardInterrupt:
        print("stopped")
        return 130
    finally:
        print(summary.write(folder), end="")
        print(folder)
    return 0


def _run(part: str, folder: Path, limit: float, dry: bool) -> None:
    """Run a part in a process group of its own, and write a line of how it ended."""
    begin, ended = time.perf_counter(), "interrupted"
    command = [sys.executable, "-m", "gpu.child", part, str(folder), *(["--dry"] if dry else [])]
    env = {**_env(dry), **(INTERPRETED if dry and part == "correctness" else {}), "GPU_CHECK_LIMIT": str(limit)}
    with (folder / f"{part}.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=env, start_new_session=True)
        try:
            code = process.wait(limit)
            ended = {0: "finished", 1: "failed"}.get(code, f"ended with code {code}")
        except subprocess.TimeoutExpired:
            ended = f"stopped after {limit:g} s"
        finally:
            _end(process)
            took = round(time.perf_counter() - begin, 1)
            record.append(folder, {"part": part, "ended": ended, "took": took})
            print(f"{part}: {ended}, {took} s", flush=True)


def _end(process: subprocess.Popen) -> None:
    """End a part and all that it has started in its group: first it may clean up, then it is killed."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    with suppress(ProcessLookupError):  # none is left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _env(dry: bool) -> dict[str, str]:
    paths = [str(HERE), str(HERE.parent / "src"), os.environ.get("PYTHONPATH", "")]
    path = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **path, **({"CUDA_VISIBLE_DEVICES": ""} if dry else {})}


def _default_folder(dry: bool) -> Path:
    code = "from gpu.environment import described; print(described()['device'])"
    command = [sys.executable, "-c", code]
    device = subprocess.run(command, env=_env(dry), stdout=subprocess.PIPE, text=True, check=True).stdout
    slug = re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
    name = f"{date.today()}-{slug}{'-dry' if dry else ''}"
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(folder for name in names if not (folder := HERE / "results" / name).exists())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", type=int, choices=PARTS, default=list(PARTS), help="all, if not given")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="by default benchmarks/results/DATE-DEVICE")
    parser.add_argument("--limit", type=float, default=120, metavar="SECONDS", help="of each part (120)")
    parser.add_argument("--dry", action="store_true", help="on the CPU, at tiny sizes")
    parser.add_argument("--summary", type=Path, metavar="FOLDER", help="make the summary of earlier lines anew")
    options = parser.parse_args()
    if options.limit <= 0:
        parser.error(f"--limit: expected seconds above 0, got {options.limit:g}")
    if options.out and options.out.exists() and not options.out.is_dir():
        parser.error(f"--out: expected a folder, got the file {options.out}")
    if options.summary and not (options.summary / record.LINES).is_file():
        parser.error(f"--summary: expected a folder with {record.LINES}, got {options.summary}")
    return options


if __name__ == "__main__":
    sys.exit(main())
