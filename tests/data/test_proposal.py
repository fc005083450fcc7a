"""The table of the classes that a check proposes."""

from collections import Counter

import numpy as np
import pytest
import yaml
from PIL import Image

from autosegloss.data import Folder
from autosegloss.data.check.proposal import Content, content_of, proposal
from autosegloss.data.datasets.class_files import read_table
from autosegloss.data.palettes import differing_palettes


def rows(values=(), colours=(), names=()):
    return yaml.safe_load(proposal(Content(Counter(values), Counter(colours)), names))


def test_255_beside_other_ids_is_unlabelled_unless_it_is_the_foreground():
    assert rows([0, 1, 2, 255])[-1] == {"id": 255, "ignore": True}
    assert [row["name"] for row in rows([0, 255])] == ["background", "foreground"]
    assert [row["id"] for row in rows([0, 128, 255])] == [0, 128, 255]
    assert not any("ignore" in row for row in rows([0, 128, 255]))


def test_known_names_are_kept_if_they_fit():
    assert [row["name"] for row in rows([1, 2], names=["yes", "a: b"])] == ["yes", "a: b"]
    assert [row["name"] for row in rows([1, 2, 3], names=["yes", "no"])] == ["class 1", "class 2", "class 3"]


def test_colours_have_their_names_or_codes():
    assert rows(colours=[0xFF0000, 0x804080]) == [
        {"name": "red", "colour": [255, 0, 0]},
        {"name": "#804080", "colour": [128, 64, 128]},
    ]


@pytest.mark.parametrize("count", [0, 257])
def test_nothing_and_too_much_have_no_table(count):
    assert proposal(Content(Counter(), Counter(range(count)))) is None


def test_a_proposal_is_complete(tmp_path):
    rng = np.random.default_rng(0)
    palette = rng.integers(0, 256, (12, 3)).astype(np.uint8)
    for i in range(4):
        for kind in ("images", "masks"):
            (tmp_path / kind).mkdir(exist_ok=True)
        grey = rng.choice([3, 4, 9, 200], (6, 7)).astype(np.uint8)
        mask = grey if i % 2 else palette[rng.integers(0, 12, (6, 7))]
        Image.fromarray(mask).save(tmp_path / "masks" / f"{i}.png")
        Image.new("RGB", (7, 6)).save(tmp_path / "images" / f"{i}.png")
    (tmp_path / "masks" / "0.png").with_name("broken.png").write_bytes(b"")
    (tmp_path / "classes.yaml").write_text(proposal(content_of(sorted((tmp_path / "masks").iterdir()))))
    assert len(read_table(tmp_path / "classes.yaml")) == 4 + len(np.unique(palette, axis=0))
    source = Folder(tmp_path, val_fraction=0)
    for sample in source.samples("train"):
        _, label = sample.load()
        names = [source.class_names[i] for i in label.unique().tolist()]
        with Image.open(sample.mask) as mask:
            colours = {f"#{r:02x}{g:02x}{b:02x}" for _, (r, g, b) in mask.convert("RGB").getcolors()}
            expected = {f"class {value}" for _, value in mask.getcolors()} if mask.mode == "L" else colours
        assert set(names) == expected


def test_palettes_that_differ_are_found(tmp_path):
    paths = []
    for name, first in {"a": 0, "b": 0, "c": 9}.items():
        mask = Image.new("P", (2, 2), 1)
        mask.putpalette([first, 0, 0, 5, 5, 5])
        mask.save(tmp_path / f"{name}.png")
        paths.append(tmp_path / f"{name}.png")
    Image.new("L", (2, 2)).save(tmp_path / "grey.png")
    assert differing_palettes([tmp_path / "grey.png", *paths[:2]]) is None
    assert differing_palettes([tmp_path / "grey.png", *paths]) == (paths[0], paths[2])


def test_rgb_files_of_grey_alone_are_colours_among_masks_in_colours(tmp_path):
    for name, colour in {"a": (255, 0, 0), "b": (0, 0, 0)}.items():
        Image.new("RGB", (2, 2), colour).save(tmp_path / f"{name}.png")
    content = content_of(sorted(tmp_path.iterdir()))
    assert content == Content(Counter(), Counter({0xFF0000: 4, 0: 4}))
    assert content_of([tmp_path / "b.png"]) == Content(Counter({0: 4}), Counter())
