"""The comparison of losses: numbers computed by hand, Markdown and terminal, empty cells."""

import io
import math

from rich.console import Console

from autosegloss.report import comparison_table

ROWS = {
    "cross-entropy": [{"miou": 0.44, "bf1": 0.30}, {"miou": 0.46, "bf1": 0.32}],
    "searched": [{"miou": 0.50, "bf1": 0.31}, {"miou": 0.54, "bf1": math.nan}],
}


def test_markdown():
    assert comparison_table(ROWS, ["miou", "biou", "bf1"], "miou").markdown().splitlines() == [
        "| loss          |         → miou | biou |            bf1 |",
        "| ------------- | -------------: | ---: | -------------: |",
        "| cross-entropy |     45.0 ± 1.4 |      | **31.0 ± 1.4** |",
        "| searched      | **52.0 ± 2.8** |      |       **31.0** |",
        "",
        "In percent, mean ± standard deviation over 2 seeds; → the searched metric, bold the best of a column.",
    ]


def test_one_seed_has_no_spread():
    table = comparison_table({"a": [{"miou": 0.5}], "b": [{"miou": 0.123}]}, ["miou"], "miou")
    assert "±" not in table.markdown()
    assert "| b    |     12.3 |" in table.markdown()
    assert "1 seed;" in table.caption


def test_unequal_numbers_of_seeds_are_told():
    rows = {"a": [{"miou": 0.5}], "b": [{"miou": 0.5}] * 3, "c": []}
    assert "0 to 3 seeds" in comparison_table(rows, ["miou"], "miou").caption


def test_terminal_shows_the_same_cells():
    stream = io.StringIO()
    table = comparison_table({**ROWS, "odd [b]": []}, ["miou", "bf1"], "miou")
    Console(file=stream, width=120).print(table)
    text = stream.getvalue()
    for expected in ("→ miou", "45.0 ± 1.4", "52.0 ± 2.8", "31.0 ± 1.4", "odd [b]", "2 seeds"):
        assert expected in text


def test_markdown_escapes_bars():
    assert r"| a\|b | **50.0** |" in comparison_table({"a|b": [{"miou": 0.5}]}, ["miou"], "miou").markdown()


def test_nothing_to_compare():
    assert "0 seeds" in comparison_table({}, ["miou"], "miou").markdown()
