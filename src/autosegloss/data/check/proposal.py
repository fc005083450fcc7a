"""A classes.yaml for masks in colours, with 0 and 255, or with ids from 1, to be completed with names."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import ImageColor

from autosegloss.data.datasets.masks import MaskContent, colour_text, mask_content
from autosegloss.data.reading import map_in_threads
from autosegloss.errors import InputError

MOST = 256  # classes that labels can tell apart
VOID = 255  # the value of unlabelled pixels in many data sets


class Content(NamedTuple):
    """The number of pixels of each value and of each colour 0xRRGGBB in all masks."""

    values: Counter[int]
    colours: Counter[int]


def content_of(masks: Sequence[Path]) -> Content:
    """What the readable ones of these mask files hold."""
    readable = [content for content in map_in_threads(_readable, masks) if content is not None]
    in_colours = any(content.coloured for content in readable)  # then RGB files of grey alone hold colours, too
    values: Counter[int] = Counter()
    colours: Counter[int] = Counter()
    for content in readable:
        counts = dict(zip(content.found, content.pixels, strict=True))
        if content.rgb and in_colours:
            colours.update(counts)
        else:
            values.update({value & 255 if content.rgb else value: count for value, count in counts.items()})
    return Content(values, colours)


def proposal(content: Content, names: Sequence[str] = ()) -> str | None:
    """The text of a classes.yaml that covers all values and colours; None if these are none, or more than labels can.

    Args:
        content: of all masks.
        names: of the classes, in the order of the ids, if they are known.
    """
    if not 0 < len(content.values) + len(content.colours) <= MOST:
        return None
    total = content.values.total() + content.colours.total()
    lines = [*_of_values(content.values, names), *_of_colours(content.colours)]
    width = max(len(line) for line, _ in lines)
    return "".join(f"{line:{width}}  # {pixels / total:.2%} of the pixels\n" for line, pixels in lines)


def is_void(ids: Sequence[int]) -> bool:
    """Whether 255 means unlabelled among sorted mask values: beside consecutive ids, as in most data sets."""
    others = [value for value in ids if value != VOID]
    return VOID in ids and len(others) > 1 and others == list(range(others[0], others[0] + len(others)))


def _readable(path: Path) -> MaskContent | None:
    try:
        return mask_content(path)
    except InputError:
        return None


def _of_values(values: Counter[int], names: Sequence[str]) -> Iterator[tuple[str, int]]:
    """A line for each value."""
    ids = sorted(values)
    void = VOID if is_void(ids) else None
    classes = [value for value in ids if value != void]
    if len(names) != len(classes):
        names = ["background", "foreground"] if classes in ([0, 1], [0, VOID]) else [f"class {id}" for id in classes]
    for name, value in zip(names, classes, strict=True):
        yield f"- {{name: {json.dumps(str(name))}, id: {value}}}", values[value]
    if void is not None:
        yield f"- {{id: {void}, ignore: true}}", values[void]


def _of_colours(colours: Counter[int]) -> Iterator[tuple[str, int]]:
    known = {text.lower(): name for name, text in reversed(ImageColor.colormap.items()) if isinstance(text, str)}
    for colour, pixels in colours.most_common():
        code = f"#{colour:06x}"
        name = json.dumps(known.get(code, code))
        yield f"- {{name: {name}, colour: {colour_text(colour)}}}", pixels
