"""The table of the classes: classes.yaml, classes.txt and the settings that take their place."""

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from autosegloss.data import Folder
from autosegloss.errors import InputError


@pytest.fixture
def root(tmp_path):
    """A folder with one grey and one coloured mask."""
    pixels = {"0": np.array([[0, 7, 26, 255]], np.uint8), "1": np.array([[(128, 64, 128), (0, 0, 142)] * 2], np.uint8)}
    for name, mask in pixels.items():
        for kind in ("images", "masks"):
            (tmp_path / kind).mkdir(exist_ok=True)
        Image.new("RGB", (4, 1)).save(tmp_path / "images" / f"{name}.png")
        Image.fromarray(mask).save(tmp_path / "masks" / f"{name}.png")
    return tmp_path


def labels(source):
    """The labels of the masks "0" and "1"."""
    return [sample.load()[1].flatten().tolist() for sample in source.samples("train")]


TABLE = """
- {name: road, id: 7, colour: [128, 64, 128]}
- {name: car, id: [26, 27], colour: [[0, 0, 142], [0, 0, 70]]}
- {id: 0, ignore: true}
- {name: road, id: 8}
"""


def test_a_file_gives_names_values_colours_and_what_is_ignored(root):
    (root / "classes.yaml").write_text(TABLE)
    source = Folder(root, val_fraction=0)
    assert source.class_names == ("road", "car")
    assert labels(source) == [[255, 0, 1, 255], [0, 1, 0, 1]]
    assert "classes.yaml gives the classes road, car; what it lacks is an error" in source.assumptions()[0]


def test_a_file_with_a_byte_order_mark_is_read(root):
    (root / "classes.yaml").write_text(TABLE, encoding="utf-8-sig")
    assert Folder(root).class_names == ("road", "car")
    (root / "classes.yaml").unlink()
    (root / "classes.txt").write_text("Straße\ncar\n", encoding="utf-8-sig")
    assert Folder(root).class_names == ("Straße", "car")


@pytest.mark.parametrize(
    "settings",
    [
        {"labels": {0: "ignore", 7: "road", 26: "car"}, "colours": {"road": [128, 64, 128], "car": [0, 0, 142]}},
        {
            "classes": ["road", "car"],
            "labels": {7: 0, 26: 1, 0: "ignore"},
            "colours": {"road": [[128, 64, 128], [1, 1, 1]], "car": [0, 0, 142]},
        },
    ],
    ids=["by name", "by index"],
)
@pytest.mark.parametrize("config", [False, True])
def test_settings_take_the_place_of_the_file(root, settings, config):
    source = Folder(root, val_fraction=0, **(OmegaConf.create(settings) if config else settings))
    assert source.class_names == ("road", "car")
    assert labels(source) == [[255, 0, 1, 255], [0, 1, 0, 1]]
    assert hash(source) == hash(Folder(root, val_fraction=0, **settings))


def test_0_and_255_are_two_classes_if_the_table_says_so(tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        Image.fromarray(np.array([[0, 255]], np.uint8)).save(tmp_path / kind / "a.png")
    source = Folder(tmp_path, val_fraction=0, labels={0: 0, 255: 1})
    assert (source.num_classes, labels(source)) == (2, [[0, 1]])


def test_indices_take_the_names_of_the_file(root):
    (root / "classes.txt").write_text("road\ncar\n")
    assert Folder(root, labels={7: 0, 26: 1}).class_names == ("road", "car")


def test_pixels_that_the_table_lacks_can_be_ignored(root):
    colours = {"road": [128, 64, 128], "car": [0, 0, 142]}
    source = Folder(root, val_fraction=0, labels={7: "road"}, colours=colours, unknown="ignore")
    assert labels(source) == [[255, 0, 255, 255], [0, 1, 0, 1]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labels": {0: 0, 7: 2}, "classes": 2}, "labels: class 2 does not exist: expected 0..1 or ignore"),
        ({"labels": {0: "road", 7: "tree"}, "classes": ["road", "car"]}, "name tree, but the classes are road, car"),
        ({"labels": {0: 1.5, 1: 0}}, "labels: expected {mask value: class}, by name or index, got 1.5"),
        ({"labels": {-1: 0, 1: 1}}, "labels: expected a mask value from 0 to 65535"),
        ({"labels": {"a": 0, 1: 1}}, "labels: expected a mask value from 0 to 65535 .* got 'a'"),
        ({"colours": {"a": [1, 2], "b": [1, 2, 3]}}, r"colours.a: expected a colour \[R,G,B\] .* got \[1, 2\]"),
        ({"colours": {"a": [1, 2, 256], "b": [1, 2, 3]}}, "colours.a: expected a colour"),
        ({"labels": [0, 1]}, r"labels: expected a dictionary, as {0: background, 255: roof}, got \[0, 1\]"),
        ({"colours": [[0, 0, 0], [255, 0, 0]]}, "colours: expected a dictionary, as {road: "),
        ({"colours": {"a": [[0, 0, 0], 5], "b": [1, 2, 3]}}, "colours.a: expected a colour"),
        ({"lists": ["train.txt"]}, "lists: expected a dictionary, as {train: train.txt"),
        ({"group": 5}, "group: expected a regular expression"),
        ({"stratify": "maybe"}, "stratify: expected true or false"),
        ({"colours": {"a": "red", "b": [1, 2, 3]}}, "colours.a: expected a colour .* got 'red'"),
        ({"colours": {"a": [1, 2, 3], "b": [1, 2, 3]}}, "the colour #010203 has two meanings"),
        ({"colours": {"a": [1, 2, 3]}}, "one class leaves nothing to tell apart"),
        ({"labels": {0: 0, 1: 1, 2: "ignore"}, "ignore_index": None}, "pixels are to be ignored, and ignore_index is"),
        ({"labels": {0: 0, 1: 1}, "ignore_index": 0}, "ignore_index=0 is class 'class 0': leave it at 255"),
        ({"labels": {0: 0, 1: 1}, "unknown": "ignore", "ignore_index": None}, "and ignore_index is null"),
    ],
)
def test_a_table_that_makes_no_sense_is_one_line(root, settings, message):
    with pytest.raises(InputError, match=message) as caught:
        Folder(root, **settings).class_names  # noqa: B018
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("road", "expected a list of classes, each as {name: road"),
        ("- {name: road, id: 1\n", "classes.yaml: cannot be read"),
        ("- {name: road}\n", "entry 1: expected an id, a colour, or both"),
        ("- {id: 1}\n", "entry 1: it has no name"),
        ("- {name: road, id: 1}\n- {name: a, index: 2}\n", "entry 2: unknown key index: expected name, id, colour"),
        ("- {name: road, id: x}\n", "entry 1: expected a mask value from 0 to 65535 or a list of them, got 'x'"),
        ("- {name: a, id: 1}\n- {name: b, id: 1}\n", "the value 1 has two meanings"),
        ("[]", "no class is named"),
    ],
)
def test_a_file_that_makes_no_sense_is_one_line(root, text, message):
    (root / "classes.yaml").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        Folder(root).class_names  # noqa: B018
    assert "\n" not in str(caught.value)
