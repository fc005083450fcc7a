"""What else a picture file says about its pixels: read as OpenCV, tifffile and Pillow's viewers read it."""

import struct
import zlib
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms, PngImagePlugin
from torch.testing import assert_close

from autosegloss.data import Folder
from autosegloss.data.datasets.images import ImageReader, read_image
from autosegloss.data.datasets.masks import read_mask
from autosegloss.data.datasets.pairs import load_pair
from autosegloss.data.datasets.pictures import open_picture
from autosegloss.data.datasets.tiff import upright
from autosegloss.data.reading import map_in_threads
from autosegloss.errors import InputError

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
GREY = RGB[..., 0]
TAGS = range(10)  # 0 and 9 mean nothing
ORIENTATION = 274


def bands(values: np.ndarray) -> torch.Tensor:
    """(H, W) or (H, W, 3) as (3, H, W)."""
    return torch.from_numpy(np.dstack([values] * 3 if values.ndim == 2 else [values])).permute(2, 0, 1)


def opencv(path: Path) -> torch.Tensor:
    """The file as OpenCV shows it: turned, RGB of 8 bits."""
    return bands(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB))


def exif(tag: int) -> Image.Exif:
    made = Image.Exif()
    made[ORIENTATION] = tag
    return made


def gamma() -> PngImagePlugin.PngInfo:
    """The chunk of a PNG which says that its values are linear."""
    made = PngImagePlugin.PngInfo()
    made.add(b"gAMA", struct.pack(">I", 100000))
    return made


def deep_png(path: Path, values: np.ndarray, tag: int) -> None:
    """A PNG of OpenCV, RGB of 16 bits, with an eXIf chunk."""
    content = cv2.imencode(".png", values[..., ::-1])[1].tobytes()
    chunk = b"eXIf" + exif(tag).tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(content[:33] + chunk + content[33:])


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_an_orientation_tag_turns_the_image_as_opencv_does(tmp_path, suffix, tag):
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(RGB).save(path, exif=exif(tag), **({"lossless": True} if suffix == "webp" else {}))
    image = read_image(path)
    assert image.shape == ((3, 8, 6) if tag in (5, 6, 7, 8) else (3, 6, 8))
    assert_close(image, opencv(path), atol=3 if suffix == "jpg" else 0, rtol=0)  # two decoders of JPEG


@pytest.mark.parametrize("tag", TAGS)
def test_all_formats_agree_on_an_orientation_tag(tmp_path, tag):
    Image.fromarray(RGB).save(tmp_path / "image.png", exif=exif(tag))
    turned = read_image(tmp_path / "image.png")
    Image.fromarray(RGB).save(tmp_path / "pillow.tif", exif=exif(tag))
    assert_close(read_image(tmp_path / "pillow.tif"), turned)
    tifffile.imwrite(tmp_path / "8.tif", RGB, photometric="rgb", extratags=[(ORIENTATION, "H", 1, tag)])
    assert_close(read_image(tmp_path / "8.tif"), turned)
    deep = 257 * RGB.astype(np.uint16)
    tifffile.imwrite(tmp_path / "16.tif", deep, photometric="rgb", extratags=[(ORIENTATION, "H", 1, tag)])
    assert_close(read_image(tmp_path / "16.tif"), turned.float())
    deep_png(tmp_path / "16.png", deep, tag)
    assert_close(read_image(tmp_path / "16.png"), turned.float())
    assert_close(bands(upright(RGB, tag)), turned)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("content", [b"", b"neither II nor MM", exif(6).tobytes()[6:20], b"II*\0\xff\xff\xff\xff"])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_broken_exif_says_nothing(tmp_path, suffix, content):
    for name, extra in (("broken", {"exif": b"Exif\0\0" + content}), ("plain", {})):
        Image.fromarray(RGB).save(tmp_path / f"{name}.{suffix}", **extra)
    assert_close(read_image(tmp_path / f"broken.{suffix}"), read_image(tmp_path / f"plain.{suffix}"))


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_mask_is_turned_by_its_own_tag(tmp_path, suffix, tag):
    for name in (f"mask.{suffix}", "same.png"):  # OpenCV cannot read a TIFF that is turned
        Image.fromarray(GREY).save(tmp_path / name, exif=exif(tag))
    assert_close(read_mask(tmp_path / f"mask.{suffix}"), opencv(tmp_path / "same.png")[0])


@pytest.mark.parametrize("tagged", ["image", "mask"])
def test_the_message_about_sizes_names_the_tag(tmp_path, tagged):
    paths = {"image": tmp_path / "image.jpg", "mask": tmp_path / "mask.png"}
    for name, values in (("image", RGB), ("mask", GREY)):
        Image.fromarray(values).save(paths[name], exif=exif(6 if name == tagged else 1))
    with pytest.raises(InputError, match=rf"differ in size.*; .*{tagged}\.\w+ is turned as its EXIF orientation tag 6"):
        load_pair(paths["image"], paths["mask"], read_mask)


@pytest.mark.parametrize(("height", "tag"), [(5, 3), (5, 6), (6, 1)])
def test_a_pair_whose_sizes_differ_anyway_has_no_word_of_a_tag(tmp_path, height, tag):
    Image.fromarray(RGB[:height, :7]).save(tmp_path / "image.jpg", exif=exif(tag))
    Image.fromarray(GREY).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match=r"one value per image pixel$"):
        load_pair(tmp_path / "image.jpg", tmp_path / "mask.png", read_mask)


SAVED = {
    "cmyk.jpg": lambda path: Image.fromarray(RGB).convert("CMYK").save(path, quality=100),
    "grey.jpg": lambda path: Image.fromarray(GREY).save(path, quality=100),
    "palette.png": lambda path: Image.fromarray(RGB).quantize(16).save(path),
    "1 bit.png": lambda path: Image.fromarray(GREY > 99).save(path),
    "1 bit.tif": lambda path: Image.fromarray(GREY > 99).save(path, compression="group4"),
    "palette.bmp": lambda path: Image.fromarray(RGB).quantize(16).save(path),
    "palette.gif": lambda path: Image.fromarray(RGB).quantize(16).save(path),
    "palette.tif": lambda path: Image.fromarray(RGB).quantize(16).save(path),
    "white is 0.tif": lambda path: tifffile.imwrite(path, GREY, photometric="miniswhite"),
    "jpeg.tif": lambda path: Image.fromarray(GREY).convert("RGB").save(path, compression="jpeg", quality=100),
    "big.tif": lambda path: tifffile.imwrite(path, RGB, photometric="rgb", bigtiff=True),
    "gamma.png": lambda path: Image.fromarray(RGB).save(path, pnginfo=gamma()),
    "lossless.webp": lambda path: Image.fromarray(RGB).save(path, lossless=True),
    "planes.tif": lambda path: tifffile.imwrite(
        path, RGB.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"
    ),
    "tiles.tif": lambda path: tifffile.imwrite(path, np.tile(RGB, (4, 4, 1)), photometric="rgb", tile=(16, 16)),
    "lzw.tif": lambda path: cv2.imwrite(str(path), RGB),
}


@pytest.mark.parametrize("name", SAVED)
def test_a_file_of_8_bits_is_read_as_opencv_reads_it(tmp_path, name):
    SAVED[name](tmp_path / name)
    assert_close(read_image(tmp_path / name), opencv(tmp_path / name), atol=3 if name.endswith("jpg") else 0, rtol=0)


def test_colours_are_not_managed(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(RGB).save(tmp_path / "icc.png", icc_profile=profile)
    assert_close(read_image(tmp_path / "icc.png"), bands(RGB))


@pytest.mark.parametrize("name", ["frames.png", "frames.webp", "frames.gif"])
def test_an_animation_is_refused(tmp_path, name):
    path = tmp_path / name
    Image.fromarray(RGB).save(path, save_all=True, append_images=[Image.fromarray(RGB[::-1])])
    for read in (read_image, ImageReader(bands=(0,)), read_mask, open_picture):
        with pytest.raises(InputError, match=f"{name}: expected one picture, got 2 in one file; save each"):
            read(path)


def test_a_mask_of_several_pages_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "mask.tif", np.stack([GREY, GREY]), photometric="minisblack")
    with pytest.raises(InputError, match=r"mask.tif: expected one picture, got 2 in one file"):
        read_mask(tmp_path / "mask.tif")


def test_the_previews_of_a_camera_are_no_pictures(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "image.jpg", "MPO", save_all=True, append_images=[Image.fromarray(RGB[:2])])
    assert read_image(tmp_path / "image.jpg").shape == (3, 6, 8)


def test_copies_at_a_lower_resolution_are_no_pages(tmp_path):
    with tifffile.TiffWriter(tmp_path / "image.tif") as file:
        file.write(RGB, photometric="rgb")
        file.write(RGB[::2, ::2], photometric="rgb", subfiletype=1)
    assert_close(read_image(tmp_path / "image.tif"), bands(RGB))
    assert open_picture(tmp_path / "image.tif").size == (8, 6)


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg", "gif", "webp", "bmp"])
def test_a_file_of_too_many_pixels_is_one_line_and_an_option(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(RGB).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # Pillow warns from here, and refuses twice as many
    assert read_image(path).shape == (3, 6, 8)
    for read in (ImageReader(max_megapixels=4.7e-5), lambda path: open_picture(path, 4.7e-5)):
        with pytest.raises(
            InputError, match=r"has 6x8 pixels \(HxW\), more than 4.7e-05 megap.* data.source.max_megapixels"
        ):
            read(path)
    assert Image.MAX_IMAGE_PIXELS == 20


def test_a_folder_of_large_images_needs_one_setting(tmp_path, monkeypatch):
    for kind, values in (("images", RGB), ("masks", GREY % 2)):
        (tmp_path / kind).mkdir()
        Image.fromarray(values).save(tmp_path / kind / "0.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    large, small = (Folder(tmp_path, classes=2, val_fraction=0, max_megapixels=most) for most in (1, 1e-5))
    assert_close(large.samples("train")[0].load(), (bands(RGB), torch.from_numpy(GREY % 2)))
    with pytest.raises(InputError, match=r"images/0.png: has 6x8 pixels.* set data.source.max_megapixels=1"):
        small.samples("train")[0].load()


def test_a_file_that_memory_cannot_hold_is_one_line(tmp_path):
    content = bytearray(cv2.imencode(".png", GREY)[1].tobytes())
    content[16:24] = struct.pack(">II", 2**30, 2**30)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "mask.png").write_bytes(content)
    with pytest.raises(InputError, match=r"mask.png: .*"):
        read_mask(tmp_path / "mask.png")


@pytest.mark.parametrize("written", SAVED)
def test_a_damaged_file_is_read_or_refused(tmp_path, written):
    path = tmp_path / written
    SAVED[written](path)
    content = bytearray(path.read_bytes())
    for position in range(0, len(content), 13):
        damaged = content.copy()
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        with suppress(InputError):  # and no other error
            read_image(path)


def test_reading_in_threads_leaves_the_limit_of_pillow_as_it_was(tmp_path):
    paths = [tmp_path / f"{k}.png" for k in range(40)]
    for path in paths:
        Image.fromarray(RGB).save(path)
    before = Image.MAX_IMAGE_PIXELS
    assert len(map_in_threads(read_image, [*paths, *paths])) == 80
    assert Image.MAX_IMAGE_PIXELS == before > 0
