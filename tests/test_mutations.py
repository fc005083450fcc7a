"""The list of mutations fits the source and the tests; a mutation that no test can see survives."""

import ast
from pathlib import Path

import pytest
from helpers.mutation_list import MUTATIONS
from mutations import ROOT, place, tried


def test_every_mutation_has_one_place_in_the_source_and_quick_tests():
    for mutation in MUTATIONS:
        assert place(mutation.before, ROOT / "src").exists()
        assert mutation.before != mutation.after
        for test in mutation.tests:
            path, _, name = test.partition("::")
            module = ast.parse(Path(ROOT, path).read_text())
            (found,) = [part for part in module.body if isinstance(part, ast.FunctionDef) and part.name == name]
            assert "pytest.mark.slow" not in map(ast.unparse, found.decorator_list)


def test_a_text_that_is_not_there_or_there_twice_is_an_error(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    for text, count in (("y = 1", 0), ("x = 1", 2)):
        with pytest.raises(ValueError, match=f"found it {count} times"):
            place(text, tmp_path)


@pytest.mark.slow
def test_a_fault_is_caught_and_what_is_no_fault_survives():
    mutation = next(mutation for mutation in MUTATIONS if mutation.fault.startswith("theta"))
    assert mutation.tests == (f"tests/test_theta.py::{tried(mutation).caught_by}",)
    assert tried(mutation._replace(after=f"({mutation.before})")).caught_by == ""
