"""Imports run one way: a file knows its own room and the rooms below it, and no two files import each other."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src"

# From the bottom to the top. A room is a module, or a package with all below it that is not a room of its own.
ROOMS = [
    "autosegloss.errors",
    "autosegloss.files",
    "autosegloss.registry",
    "autosegloss.once",
    "autosegloss.transforms",
    "autosegloss.with_triton",
    "autosegloss.curves",
    "autosegloss.algebra",
    "autosegloss.formulas",
    "autosegloss.tasks",
    "autosegloss.kernels",
    "autosegloss.reading",
    "autosegloss.theta",
    "autosegloss.compiled",
    "autosegloss.scale",
    "autosegloss.theta_card",
    "autosegloss.processes",
    "autosegloss.loss",
    "autosegloss.formula_metric",
    "autosegloss.confusion_matrix",
    "autosegloss.metrics",
    "autosegloss.functional",
    "autosegloss.losses",
    "autosegloss",  # its __init__.py: the public names
    "autosegloss.ranking",
    "autosegloss.search",
    "autosegloss.data",
    "autosegloss.training",
    "autosegloss.report",
    "autosegloss.evaluation",
    "autosegloss.data.check",
    "autosegloss.runtime",
    "autosegloss.cli",
    "autosegloss.data.__main__",
    "autosegloss.report.__main__",
    "hydra_plugins.autosegloss_sweeper",
]
STRANGERS = [("autosegloss.formulas", "autosegloss.curves")]  # rooms that must not know each other


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__")


FILES = {module_name(path): path for path in sorted(SRC.rglob("*.py"))}


def room(module: str) -> str:
    return max((name for name in ROOMS if f"{module}.".startswith(f"{name}.")), key=len)


@cache
def imports(module: str) -> set[str]:
    """The modules of src that a module imports, inside of functions too."""
    package = module if FILES[module].name == "__init__.py" else module.rpartition(".")[0]
    named = set()
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        match node:
            case ast.Import(names):
                named |= {alias.name for alias in names}
            case ast.ImportFrom(source, names, level):
                source = resolve_name("." * level + (source or ""), package)
                named |= {full if (full := f"{source}.{alias.name}") in FILES else source for alias in names}
    return named & FILES.keys()


def test_imports_point_down():
    height = {module: ROOMS.index(room(module)) for module in FILES}
    assert [(one, other) for one in FILES for other in imports(one) if height[other] > height[one]] == []


def test_strangers_do_not_import_each_other():
    known = {(room(one), room(other)) for one in FILES for other in imports(one)}
    assert [pair for pair in STRANGERS if {pair, pair[::-1]} & known] == []


def test_no_files_import_each_other_in_a_circle():
    try:
        TopologicalSorter({module: imports(module) for module in FILES}).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_every_file_lies_in_a_listed_room():
    assert [name for name in ROOMS if name not in FILES] == []
    assert [module for module in FILES if room(module) == "autosegloss"] == ["autosegloss"]
