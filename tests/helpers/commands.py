"""Commands as they stand in texts, read by the shell that a user would type them into."""

import re
import subprocess
from collections.abc import Iterable, Iterator
from copy import deepcopy
from functools import lru_cache

from helpers.members import CONF
from hydra import compose, initialize_config_dir

_PRINTS = 'python() { printf "%s\\0" "$@"; echo; }'


def typed(script: str) -> Iterator[tuple[str, list[str]]]:
    """(train or search, its arguments) for every call in lines of a shell script, loops run through; flags left out."""
    lines = [line for line in script.splitlines() if re.match(r"\s*(python|for|done)\b", line)]
    printed = subprocess.run(["bash", "-euc", "\n".join([_PRINTS, *lines])], capture_output=True, text=True, check=True)
    for call in printed.stdout.splitlines():
        program, *arguments = call.split("\0")
        if program in ("train.py", "search.py"):
            yield program.removesuffix(".py"), [argument for argument in arguments[:-1] if "=" in argument]


def experiment_commands(name: str) -> list[tuple[str, list[str]]]:
    """(program, overrides) of every command in the header of an experiment."""
    text = (CONF / "experiment" / f"{name}.yaml").read_text()
    header = [line.removeprefix("#") for line in text.splitlines() if line.startswith("#")]
    return list(typed("\n".join(re.sub(r"^ [A-Z][\w /-]*: *(?=python|for)", "", line) for line in header)))


def single_runs(overrides: list[str]) -> Iterator[list[str]]:
    """Overrides of single runs that between them take every value of a multirun."""
    pairs = [override.split("=", 1) for override in overrides]
    values = [[value] if re.search(r"[\[{]", value) else value.split(",") for _, value in pairs]
    for run in range(max(map(len, values), default=1)):
        yield [f"{key}={options[min(run, len(options) - 1)]}" for (key, _), options in zip(pairs, values, strict=True)]


def composed(program: str, overrides: Iterable[str]):
    """The config of a program with these overrides."""
    return deepcopy(_composed(program, tuple(overrides)))


@lru_cache
def _composed(program: str, overrides: tuple[str, ...]):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(program, list(overrides), return_hydra_config=True)
