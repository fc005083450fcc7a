"""Mask files written by Pillow, OpenCV and tifffile, read by their values or colours."""

import pickle

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from autosegloss.data.datasets.masks import MaskTable, mask_content, read_mask
from autosegloss.data.datasets.source import SampleError

IDS = np.array([[0, 1, 2], [2, 1, 255]], np.uint8)
ROAD, CAR = (128, 64, 128), (0, 0, 142)
COLOURS = np.array([[ROAD, CAR], [CAR, ROAD]], np.uint8)
TABLE = MaskTable(colours=((0x804080, 0), (0x00008E, 1)))


def palette(path):
    picture = Image.fromarray(IDS).convert("P")
    picture.putpalette([value for index in range(256) for value in (index, 255 - index, 7)])
    picture.putdata(IDS.flatten().tolist())
    picture.save(path)


WRITERS = {
    "Pillow, PNG": ("png", lambda path: Image.fromarray(IDS).save(path)),
    "Pillow, BMP": ("bmp", lambda path: Image.fromarray(IDS).save(path)),
    "Pillow, palette": ("png", palette),
    "Pillow, RGB": ("png", lambda path: Image.fromarray(IDS).convert("RGB").save(path)),
    "Pillow, RGBA": ("png", lambda path: Image.fromarray(IDS).convert("RGBA").save(path)),
    "Pillow, grey and alpha": ("png", lambda path: Image.fromarray(IDS).convert("LA").save(path)),
    "OpenCV, grey": ("png", lambda path: cv2.imwrite(str(path), IDS)),
    "OpenCV, 16 bits": ("png", lambda path: cv2.imwrite(str(path), IDS.astype(np.uint16))),
    "OpenCV, BGR": ("png", lambda path: cv2.imwrite(str(path), cv2.cvtColor(IDS, cv2.COLOR_GRAY2BGR))),
    "OpenCV, TIFF": ("tif", lambda path: cv2.imwrite(str(path), IDS)),
    "tifffile, 8 bits": ("tif", lambda path: tifffile.imwrite(path, IDS)),
    "tifffile, 16 bits": ("tiff", lambda path: tifffile.imwrite(path, IDS.astype(np.uint16))),
}


@pytest.mark.parametrize("name", WRITERS)
def test_values_are_labels_whatever_the_file(tmp_path, name):
    suffix, write = WRITERS[name]
    write(path := tmp_path / f"mask.{suffix}")
    label = read_mask(path)
    assert label.tolist() == IDS.tolist()
    assert label.numpy().dtype == np.uint8


def test_a_mask_of_1_bit_holds_0_and_1(tmp_path):
    Image.fromarray(IDS > 1).save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png").tolist() == [[0, 0, 1], [1, 0, 1]]


def test_values_that_are_replaced_leave_the_others(tmp_path):
    Image.fromarray(IDS).save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png", {2: 255, 255: 7}).tolist() == [[0, 1, 255], [255, 1, 7]]


def test_values_above_255_need_a_table(tmp_path):
    tifffile.imwrite(path := tmp_path / "mask.tif", np.array([[7, 1001, 26000]], np.uint16))
    with pytest.raises(SampleError, match="value 1001, 26000 is in no table: add it to data"):
        read_mask(path)
    assert MaskTable(values=((7, 0), (1001, 1), (26000, 2)))(path).tolist() == [[0, 1, 2]]


@given(st.dictionaries(st.integers(0, 2**16 - 1), st.integers(0, 255), min_size=1, max_size=40), st.randoms())
def test_a_table_of_values_is_a_lookup(tmp_path_factory, table, random):
    values = np.array([[random.choice(list(table)) for _ in range(9)] for _ in range(5)], np.uint16)
    path = tmp_path_factory.getbasetemp() / "looked_up.png"
    cv2.imwrite(str(path), values)
    expected = [[table[int(value)] for value in row] for row in values]
    assert MaskTable(values=tuple(table.items()))(path).tolist() == expected


@pytest.mark.parametrize(
    "write",
    [
        lambda path: Image.fromarray(COLOURS).save(path),
        lambda path: Image.fromarray(COLOURS).convert("RGBA").save(path),
        lambda path: Image.fromarray(COLOURS).quantize(2).save(path),
        lambda path: cv2.imwrite(str(path), COLOURS[..., ::-1]),
    ],
    ids=["Pillow", "Pillow, RGBA", "Pillow, palette", "OpenCV"],
)
def test_colours_are_looked_up(tmp_path, write):
    write(tmp_path / "mask.png")
    assert TABLE(tmp_path / "mask.png").tolist() == [[0, 1], [1, 0]]


def test_grey_values_are_read_as_such_where_the_table_has_both(tmp_path):
    table = MaskTable(values=((0, 1), (255, 0)), colours=TABLE.colours)
    Image.fromarray(np.array([[0, 255]], np.uint8)).save(tmp_path / "grey.png")
    Image.fromarray(COLOURS).save(tmp_path / "colour.png")
    assert table(tmp_path / "grey.png").tolist() == [[1, 0]]
    assert table(tmp_path / "colour.png").tolist() == [[0, 1], [1, 0]]


def test_what_a_table_lacks_is_named_by_file_the_most_frequent_first(tmp_path):
    odd = np.array([[(1, 2, 3), (9, 9, 8), (9, 9, 8), ROAD]], np.uint8)
    Image.fromarray(odd).save(path := tmp_path / "mask.png")
    with pytest.raises(SampleError, match=r"mask.png: colour \[9,9,8\], \[1,2,3\] is in no table: .*unknown=ignore"):
        TABLE(path)
    assert MaskTable(colours=TABLE.colours, other=255)(path).tolist() == [[255, 255, 255, 0]]
    Image.fromarray(IDS).save(path)
    with pytest.raises(SampleError, match=r"mask.png: value 2, 255 is in no table"):
        MaskTable(values=((0, 0), (1, 1)))(path)


@pytest.mark.parametrize(("mode", "value"), [("F", 1.5), ("CMYK", (1, 2, 3, 4)), ("LAB", (1, 2, 3))])
def test_another_kind_of_file_is_refused_by_name(tmp_path, mode, value):
    Image.new(mode, (3, 2), value).save(path := tmp_path / "mask.tif")
    with pytest.raises(SampleError, match=f"mask.tif: expected a mask of integers .*, got mode {mode}"):
        read_mask(path)


def test_an_rgb_file_of_grey_alone_is_read_by_colours_where_the_table_has_any(tmp_path):
    table = MaskTable(values=((0, 5), (1, 6)), colours=((0x000000, 0), (0xFF0000, 1)))
    Image.new("RGB", (2, 1)).save(tmp_path / "rgb.png")
    Image.new("L", (2, 1)).save(tmp_path / "grey.png")
    assert table(tmp_path / "rgb.png").tolist() == [[0, 0]]
    assert table(tmp_path / "grey.png").tolist() == [[5, 5]]


def test_the_content_of_a_mask_needs_no_table(tmp_path):
    Image.fromarray(COLOURS).save(tmp_path / "colour.png")
    Image.fromarray(IDS).save(tmp_path / "grey.png")
    Image.new("RGB", (2, 1)).save(tmp_path / "black.png")
    assert mask_content(tmp_path / "colour.png") == (True, True, [0x00008E, 0x804080], [2, 2])
    assert mask_content(tmp_path / "grey.png") == (False, False, [0, 1, 2, 255], [1, 2, 2, 1])
    assert mask_content(tmp_path / "black.png") == (True, False, [0], [2])


def test_errors_and_tables_go_to_other_processes():
    error = pickle.loads(pickle.dumps(SampleError("kind", "message")))
    assert (error.kind, str(error)) == ("kind", "message")
    assert pickle.loads(pickle.dumps(TABLE)) == TABLE
