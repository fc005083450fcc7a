"""The examples in docstrings run, and every public name has one."""

import doctest
import importlib
import pkgutil

import pytest

import autosegloss
from autosegloss import algebra, curves, formulas, metrics, search

MODULES = [
    module.name
    for package in (autosegloss, algebra, curves, formulas, search)
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    if not module.ispkg
]
PUBLIC = {name: getattr(autosegloss, name) for name in autosegloss.__all__} | {
    name: member
    for name, member in vars(metrics).items()
    if getattr(member, "__module__", "") == metrics.__name__ and not name.startswith("_")
}


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name):
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert failed == 0


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_a_public_name_has_an_example(name):
    assert "Example:" in PUBLIC[name].__doc__
