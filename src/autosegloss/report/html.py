"""A page of HTML in light and dark: headings, sentences, tables with bars, and figures beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from types import MappingProxyType

_STYLE = """
:root { color-scheme: light dark; --back: #ffffff; --text: #20242c; --faint: #5b6472; --line: #d9dde3; --bar: #9cc7e3; }
@media (prefers-color-scheme: dark) {
  :root { --back: #15181d; --text: #e6e9ee; --faint: #9aa4b2; --line: #333a45; --bar: #1f5f8a; }
}
body { background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto;
       max-width: 76rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
p { color: var(--faint); margin: .4rem 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { font-weight: 600; }
td.bar { background: linear-gradient(to right, var(--bar) var(--share), transparent var(--share)); min-width: 6rem; }
img { background: #ffffff; max-width: 100%; border: 1px solid var(--line); border-radius: 4px; }
"""


def heading(text: str) -> str:
    """The title of a part."""
    return f"<h2>{escape(text)}</h2>"


def sentence(text: str) -> str:
    """A paragraph of faint text."""
    return f"<p>{escape(text)}</p>"


def figure(file: str, what: str) -> str:
    """A picture beside the page; `what` it shows is read aloud."""
    return f'<p><img src="{escape(file)}" alt="{escape(what)}"></p>'


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    bars: Sequence[int] = (),
    tags: Mapping[tuple[int, int], Sequence[str]] = MappingProxyType({}),
) -> str:
    """A table of texts.

    Args:
        header: the titles of the columns.
        rows: for each row one text per column.
        bars: indices of columns of numbers in percent; each has a bar of its length behind it.
        tags: HTML tags around the text, as ["b", "u"], by (row, column).
    """
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    lines = [
        "".join(_cell(text, i in bars, tags.get((number, i), ())) for i, text in enumerate(row))
        for number, row in enumerate(rows)
    ]
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table>\n<tr>{head}</tr>\n{body}\n</table></div>'


def _cell(text: str, bar: bool, tags: Sequence[str]) -> str:
    style = f' class="bar" style="--share: {float(text):.1f}%"' if bar and text else ""
    opened = "".join(f"<{tag}>" for tag in tags)
    closed = "".join(f"</{tag}>" for tag in reversed(tags))
    return f"<td{style}>{opened}{escape(text)}{closed}</td>"


def page(title: str, parts: Sequence[str]) -> str:
    """The whole page."""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    body = "\n".join(parts)
    top = f"<!doctype html>\n<html lang=en>\n<head>{head}\n<style>{_STYLE}</style></head>"
    return f"{top}\n<body>\n<h1>{escape(title)}</h1>\n{body}\n</body></html>\n"
