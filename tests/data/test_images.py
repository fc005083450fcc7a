"""Bands and depth of image files, written by OpenCV, tifffile and Pillow: all of them are read, or refused by name."""

import pickle

import cv2
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from torch.testing import assert_close

from autosegloss.data.datasets.images import ImageReader, read_image
from autosegloss.errors import InputError

RNG = np.random.default_rng(0)
FIVE = RNG.integers(0, 256, (6, 8, 5), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (6, 8, 5), dtype=np.uint16)


def scaled(values: np.ndarray, most: float = 65535) -> torch.Tensor:
    """(H, W, B) as float32 (B, H, W), `most` at 255."""
    return torch.from_numpy(values.transpose(2, 0, 1) * (255 / most)).float()


def as_rgb(values: np.ndarray) -> np.ndarray:
    """What OpenCV writes as RGB, or RGB and opacity: it counts from blue."""
    return values[..., [2, 1, 0, 3][: values.shape[2]]]


def fails(path, match, **settings):
    with pytest.raises(InputError, match=match) as caught:
        ImageReader(**settings)(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_all_values_of_16_bits_are_kept(tmp_path, suffix):
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    cv2.imwrite(str(tmp_path / f"grey.{suffix}"), every)
    cv2.imwrite(str(tmp_path / f"rgb.{suffix}"), np.stack([every, every.T, 65535 - every], axis=2))
    grey, rgb = read_image(tmp_path / f"grey.{suffix}"), read_image(tmp_path / f"rgb.{suffix}")
    assert (grey.dtype, grey.shape, rgb.shape) == (torch.float32, (3, 256, 256), (3, 256, 256))
    assert all(len(band.unique()) == 65536 for band in (*grey, *rgb))
    assert (grey.min(), grey.max()) == (0, 255)
    assert_close(grey, scaled(np.stack([every] * 3, axis=2)))
    assert_close(rgb, scaled(np.stack([65535 - every, every.T, every], axis=2)))


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd"])
@pytest.mark.parametrize("predictor", [False, True])
def test_a_tiff_of_16_bits_may_be_compressed(tmp_path, compression, predictor):
    settings = {"compression": compression, "predictor": predictor} if compression else {}
    tifffile.imwrite(tmp_path / "image.tif", DEEP[..., :3], photometric="rgb", **settings)
    assert_close(read_image(tmp_path / "image.tif"), scaled(DEEP[..., :3]))


def test_12_bits_need_the_value_of_white(tmp_path):
    values = (DEEP[..., :3] // 16).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "image.png"), as_rgb(values))
    read = ImageReader(max_value=4095)
    assert_close(read(tmp_path / "image.png"), scaled(values, 4095))
    fails(
        tmp_path / "image.png", r"values from 0 to 1000, got \d+ to 40\d\d; set data.source.max_value", max_value=1000
    )


def test_8_bits_stay_as_they_are_whatever_the_value_of_white(tmp_path):
    Image.fromarray(FIVE[..., :3]).save(tmp_path / "image.png")
    assert_close(ImageReader(max_value=4095)(tmp_path / "image.png"), torch.from_numpy(FIVE[..., :3]).permute(2, 0, 1))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int16, np.uint32, np.int8])
def test_values_of_no_known_scale_need_the_value_of_white(tmp_path, dtype):
    values = (FIVE[..., :3] % 100).astype(dtype)
    tifffile.imwrite(tmp_path / "image.tif", values, photometric="rgb")
    fails(tmp_path / "image.tif", rf"values 0 to 99 \({values.dtype}\) have no known scale: set data.source.max_value")
    assert_close(ImageReader(max_value=100)(tmp_path / "image.tif"), scaled(values.astype(float), 100))


@pytest.mark.parametrize("value", [np.nan, np.inf, -1, 101])
def test_values_outside_of_the_scale_are_refused(tmp_path, value):
    values = np.full((6, 8), 50, np.float32)
    values[2, 3] = value
    tifffile.imwrite(tmp_path / "image.tif", values)
    fails(tmp_path / "image.tif", "expected values from 0 to 100, got ", max_value=100)


def test_values_of_1_bit_are_black_and_white_on_every_page(tmp_path):
    values = FIVE.transpose(2, 0, 1) > 99
    for photometric, white in (("minisblack", True), ("miniswhite", False)):
        tifffile.imwrite(tmp_path / "image.tif", values, photometric=photometric)
        expected = torch.from_numpy(np.where(values == white, 255, 0).astype(np.uint8))
        assert_close(ImageReader(bands=range(5))(tmp_path / "image.tif"), expected)
        tifffile.imwrite(tmp_path / "image.tif", values[0], photometric=photometric)
        assert_close(read_image(tmp_path / "image.tif"), expected[:1].repeat(3, 1, 1))


def test_a_complex_image_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "image.tif", FIVE[..., 0].astype(np.complex64))
    fails(tmp_path / "image.tif", "expected grey or RGB values, got MINISBLACK of complex64")


def test_a_small_copy_may_come_first(tmp_path):
    with tifffile.TiffWriter(tmp_path / "image.tif") as file:
        file.write(FIVE[::2, ::2, :3], photometric="rgb", subfiletype=1)
        file.write(FIVE[..., :3], photometric="rgb")
    assert_close(read_image(tmp_path / "image.tif"), torch.from_numpy(FIVE[..., :3]).permute(2, 0, 1))


def test_white_may_be_zero(tmp_path):
    tifffile.imwrite(tmp_path / "image.tif", DEEP[..., 0], photometric="miniswhite")
    assert_close(read_image(tmp_path / "image.tif"), scaled(np.stack([65535 - DEEP[..., 0]] * 3, axis=2)))


FORMS = {
    "pixels": {"photometric": "minisblack", "planarconfig": "contig"},
    "planes": {"photometric": "minisblack", "planarconfig": "separate"},
    "rgb": {"photometric": "rgb"},
    "pages": {"photometric": "minisblack"},
    "imagej": {"imagej": True},
    "big-endian": {"photometric": "minisblack", "planarconfig": "contig", "byteorder": ">", "bigtiff": True},
}
PAGES = ("pages", "imagej")


@pytest.mark.parametrize("values", [FIVE, DEEP], ids=["8 bits", "16 bits"])
@pytest.mark.parametrize("form", FORMS)
def test_chosen_bands_come_in_their_order(tmp_path, form, values):
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, values.transpose(2, 0, 1) if form in ("planes", *PAGES) else values, **FORMS[form])
    chosen = values[..., [4, 0, 0, 2]]
    expected = torch.from_numpy(chosen).permute(2, 0, 1) if values is FIVE else scaled(chosen)
    assert_close(ImageReader(bands=[4, 0, 0, 2])(path), expected)
    found = "5 pages of 1 band each" if form in PAGES else "5 bands"
    fails(path, rf"expected grey or RGB, got {found}: choose .* data.source.bands=\[0,1,2\]")
    fails(path, r"has 5 bands, numbered from 0: data.source.bands=\[0, 5\] needs 6", bands=(0, 5))


def test_pages_in_colour_give_their_bands_one_after_the_other(tmp_path):
    tifffile.imwrite(tmp_path / "image.tif", np.stack([FIVE[..., :3], FIVE[..., 2:]]), photometric="rgb")
    expected = torch.from_numpy(FIVE[..., [0, 4]]).permute(2, 0, 1)
    assert_close(ImageReader(bands=(0, 5))(tmp_path / "image.tif"), expected)
    fails(tmp_path / "image.tif", "got 2 pages of 3 bands each")


def test_pages_of_different_sizes_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "image.tif") as file:
        file.write(FIVE[..., :3], photometric="rgb")
        file.write(FIVE[:4, ..., :3], photometric="rgb")
    for bands in (None, (0,)):
        fails(tmp_path / "image.tif", "its pages differ in size or type; save each as a file of its own", bands=bands)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("values", [FIVE, DEEP], ids=["8 bits", "16 bits"])
def test_an_opacity_that_hides_nothing_is_dropped(tmp_path, suffix, values):
    path, rgba = tmp_path / f"image.{suffix}", values[..., :4].copy()
    for opacity, hides in ((np.iinfo(values.dtype).max, False), (values[..., 3], True)):
        rgba[..., 3] = opacity
        if suffix == "tif":
            tifffile.imwrite(path, rgba, photometric="rgb", extrasamples=["unassalpha"])
        else:
            cv2.imwrite(str(path), as_rgb(rgba))
        if hides:
            fails(path, r"got 4 bands, the last of which is an opacity that hides some pixels: .*bands=\[0,1,2\]")
        else:
            assert read_image(path).shape == (3, 6, 8)
        colours = ImageReader(bands=(0, 1, 2))(path)
        assert_close(
            colours, scaled(values[..., :3]) if values is DEEP else torch.from_numpy(values[..., :3]).permute(2, 0, 1)
        )
        assert_close(ImageReader(bands=(3,))(path), scaled(rgba[..., 3:], np.iinfo(values.dtype).max).to(colours.dtype))


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("grey.png", "0,0,0"), ("rgb.png", "0,1,2"), ("palette.png", "0,1,2"), ("palette.gif", "0,1,2")],
)
def test_a_colour_that_is_transparent_is_an_opacity(tmp_path, name, remedy):
    picture = Image.fromarray(FIVE[..., :3])
    picture = {"gre": picture.convert("L"), "pal": picture.quantize(16)}.get(name[:3], picture)
    picture.save(tmp_path / name, transparency=picture.getpixel((0, 0)))
    fails(tmp_path / name, rf"opacity that hides some pixels: .*bands=\[{remedy}\]")
    bands = tuple(map(int, remedy.split(",")))
    expected = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
    assert_close(ImageReader(bands=bands)(tmp_path / name), expected)


def test_two_bands_are_refused_by_their_number(tmp_path):
    tifffile.imwrite(tmp_path / "image.tif", FIVE[..., :2], photometric="minisblack", planarconfig="contig")
    fails(tmp_path / "image.tif", r"got 2 bands: .*data.source.bands=\[0,1\]")


def test_colours_that_are_not_rgb_are_refused_by_name(tmp_path):
    Image.fromarray(FIVE[..., :3]).convert("LAB").save(tmp_path / "lab.tif")
    fails(tmp_path / "lab.tif", "expected grey or RGB values, got CIELAB of uint8")
    tifffile.imwrite(tmp_path / "inks.tif", DEEP[..., :4], photometric="separated")
    fails(tmp_path / "inks.tif", "expected grey or RGB values, got SEPARATED of uint16")


def test_a_grey_image_can_be_one_band(tmp_path):
    Image.fromarray(FIVE[..., 0]).save(tmp_path / "image.png")
    read = ImageReader(bands=(0,))
    assert_close(read(tmp_path / "image.png"), torch.from_numpy(FIVE[..., 0])[None])
    assert (read.channels, ImageReader().channels) == (1, 3)


def test_a_reader_is_a_value():
    read = ImageReader(bands=[3, 1], max_value=10)
    assert read == pickle.loads(pickle.dumps(read))
    assert hash(read) == hash(ImageReader(bands=(3, 1), max_value=10))


@pytest.mark.parametrize(
    ("setting", "value"),
    [("bands", v) for v in ([], [-1], [0.5], "012", 3, [True])]
    + [(name, v) for name in ("max_value", "max_megapixels") for v in (0, -1, "many", float("nan"))],
)
def test_settings_out_of_range(setting, value):
    with pytest.raises(InputError, match=f"data.source.{setting}: expected"):
        ImageReader(**{setting: value})
