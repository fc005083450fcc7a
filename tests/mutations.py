"""The mutation test: each of these faults, put into a copy of the source, makes a quick test fail.

python tests/mutations.py            all of them; or: make mutations
python tests/mutations.py --only PPO those whose description has this text
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from helpers.mutation import Mutation
from helpers.mutation_list import MUTATIONS

ROOT = Path(__file__).parents[1]


class Outcome(NamedTuple):
    """What the tests made of a mutation: the test that failed ("" if none did), seconds, and the end of the output."""

    caught_by: str
    seconds: float
    output: str


def place(before: str, source: Path) -> Path:
    """The file below `source` that has the text; raises ValueError unless the text is found exactly once."""
    found = [path for path in sorted(source.rglob("*.py")) for _ in range(path.read_text().count(before))]
    if len(found) != 1:
        raise ValueError(f"expected this text once in {source}, found it {len(found)} times:\n{before}")
    return found[0]


def tried(mutation: Mutation) -> Outcome:
    """Run the tests of a mutation on a copy of the source that has it."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for part in ("src", "conf"):
            shutil.copytree(ROOT / part, Path(folder, part), ignore=shutil.ignore_patterns("__pycache__"))
        path = place(mutation.before, Path(folder, "src"))
        path.write_text(path.read_text().replace(mutation.before, mutation.after))
        output = _test(Path(folder), mutation.tests)
    failed = re.search(r"^FAILED \S*?::(.+?)(?: - .*)?$", output, re.MULTILINE)
    return Outcome(failed[1] if failed else "", time.monotonic() - start, output[-2000:])


def _test(folder: Path, tests: Iterable[str]) -> str:
    """What pytest prints for the tests, with the source in a folder."""
    options = ["-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis"),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "pytest", *options, *tests]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True).stdout


def main() -> int:
    """Try the mutations and print a table; 1 if a mutation survives, or if a test fails without any."""
    parser = argparse.ArgumentParser(description="Put faults into a copy of the source; quick tests must find them.")
    parser.add_argument("--only", default="", help="the mutations whose description has this text")
    parser.add_argument("--jobs", type=int, default=2, help="tried at a time")
    options = parser.parse_args()
    chosen = [mutation for mutation in MUTATIONS if options.only in mutation.fault]
    tests = sorted({test for mutation in chosen for test in mutation.tests})
    unchanged = _test(ROOT, tests)
    if "FAILED" in unchanged or " passed" not in unchanged:
        print(f"The tests do not pass without a mutation:\n{unchanged}")
        return 1
    survivors, row = 0, partial("| {:<75} | {:<90} | {:>7} |".format)
    print(row("mutation", "caught by", "seconds"), row("-" * 75, "-" * 90, "-" * 6 + ":"), sep="\n", flush=True)
    with ThreadPoolExecutor(options.jobs) as threads:
        for mutation, outcome in zip(chosen, threads.map(tried, chosen), strict=True):
            print(row(mutation.fault, outcome.caught_by or "NOTHING", f"{outcome.seconds:.0f}"), flush=True)
            if not outcome.caught_by:
                survivors += 1
                print(outcome.output)
    print(f"\n{len(chosen) - survivors} of {len(chosen)} mutations are caught.")
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main())
