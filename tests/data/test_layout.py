"""Where a folder's images and masks are: subfolders, patterns, spellings, and files that belong to no pair."""

import unicodedata

import numpy as np
import pytest
from PIL import Image

from autosegloss.data import Folder
from autosegloss.errors import InputError


@pytest.fixture
def put(tmp_path):
    """`put("a/b.png", ...)` writes pictures of 4x4 pixels, half 0 and half 1."""

    def write(*paths: str):
        for path in paths:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.repeat(np.array([[0, 0, 1, 1]], np.uint8), 4, axis=0)).save(tmp_path / path)
        return tmp_path

    return write


def pairs(root, split="train", **settings):
    """The (image, mask) paths below the root."""
    source = Folder(root, classes=2, **{"val_fraction": 0, **settings})
    return [tuple(str(path)[len(str(root)) + 1 :] for path in (s.name, s.mask)) for s in source.samples(split)]


def test_subfolders_beside_files_are_part_of_the_data(put):
    root = put("images/1.png", "images/a/1.png", "images/a/b/2.png", "masks/1.png", "masks/a/1.png", "masks/a/b/2.png")
    assert pairs(root) == [
        ("images/1.png", "masks/1.png"),
        ("images/a/1.png", "masks/a/1.png"),
        ("images/a/b/2.png", "masks/a/b/2.png"),
    ]


@pytest.mark.parametrize("suffix", ["webp", "gif", "JPG", "bmp", "tiff"])
def test_images_of_several_formats_lie_side_by_side(put, suffix):
    root = put("images/1.png", f"images/2.{suffix}", "masks/1.png", "masks/2.PNG")
    assert [image for image, _ in pairs(root)] == ["images/1.png", f"images/2.{suffix}"]


def test_linked_folders_are_followed(put, tmp_path_factory):
    root, elsewhere = put("masks/1.png"), tmp_path_factory.mktemp("elsewhere")
    (root / "masks/1.png").rename(elsewhere / "1.png")
    (root / "masks").rmdir()
    (root / "masks").symlink_to(elsewhere)
    (root / "images").symlink_to(elsewhere)
    assert pairs(root) == [("images/1.png", "masks/1.png")]


@pytest.mark.parametrize(
    ("files", "settings"),
    [
        (
            ["s1/img/a.png", "s1/masks/a_mask.png", "s2/img/a.png", "s2/masks/a_mask.png"],
            {"images": "*/img/*.png", "masks": "{parent}/../masks/{stem}_mask.png"},
        ),
        (["a.png", "a_mask.png", "b.png", "b_mask.png"], {"images": "**/*.png", "masks": "{parent}/{stem}_mask.png"}),
        (["photos/x/a.png", "truth/x/a.tif"], {"images": "photos/**/*", "masks": "truth/{path}.*"}),
        (["x/train/a.png", "y/train/a.png"], {"images": "x/{split}/*.png", "masks": "y/{split}/{stem}.png"}),
    ],
)
def test_patterns_say_where_masks_are(put, files, settings):
    root = put(*files)
    found = pairs(root, **settings)
    assert [path for pair in found for path in pair] == files
    (root / "classes.txt").write_text("a\nb\n")
    assert not Folder(root, **settings).assumptions()[-1].startswith("files that are not used")


@pytest.mark.parametrize(
    ("train", "val", "found"),
    [
        (["images/train/1.png", "masks/train/1.png"], ["images/val/1.png", "masks/val/1.png"], "images/{split}/**/*"),
        (["train/images/1.png", "train/labels/1.png"], ["val/images/1.png", "val/labels/1.png"], "{split}/images/**/*"),
        (
            ["images/training/1.jpg", "annotations/training/1.png"],
            ["images/validation/1.jpg", "annotations/validation/1.png"],
            "images/{split}/**/*",
        ),
        (
            ["img_dir/train/1.jpg", "ann_dir/train/1.png"],
            ["img_dir/val/1.jpg", "ann_dir/val/1.png"],
            "img_dir/{split}/**/*",
        ),
        (["train/1.jpg", "train/1_mask.png"], ["valid/1.jpg", "valid/1_mask.png"], "{split}/*"),
    ],
    ids=["images/split", "labels", "ADE20K", "MMSegmentation", "Roboflow"],
)
def test_the_layouts_of_common_tools_are_known(put, train, val, found):
    root = put(*train, *val)
    assert [pairs(root, split) for split in ("train", "val", "test")] == [[tuple(train)], [tuple(val)], []]
    assert Folder(root, classes=2).assumptions()[1].startswith(f"images are {found}, their masks ")


def test_an_export_of_cvat_is_read_with_its_names_and_colours(put):
    root = put("JPEGImages/1.jpg")
    (root / "SegmentationClass").mkdir()
    Image.fromarray(np.array([[(0, 0, 0), (128, 64, 128)]] * 4, np.uint8).repeat(2, axis=1)).save(
        root / "SegmentationClass/1.png"
    )
    (root / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:128,64,128::\n")
    source = Folder(root, val_fraction=0)
    assert source.class_names == ("background", "road")
    assert source.samples("train")[0].load()[1][0].tolist() == [0, 0, 1, 1]


def test_an_export_of_roboflow_is_read_with_its_names(put):
    root = put("train/1.jpg", "train/1_mask.png")
    (root / "train/_classes.csv").write_text("Pixel Value, Class\n0, background\n1, car, old\n")
    source = Folder(root)
    assert source.class_names == ("background", "car, old")
    assert source.samples("train")[0].load()[1][0].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("name", "text"), [("labelmap.txt", "road\n"), ("_classes.csv", "Pixel Value, Class\nroad, 1\n")]
)
def test_a_damaged_table_of_a_tool_is_one_line(put, name, text):
    root = put("images/1.png", "masks/1.png")
    (root / name).write_text(text)
    with pytest.raises(InputError, match=f"{name}: expected .* correct the file"):
        Folder(root).class_names  # noqa: B018


def test_names_that_differ_in_the_normal_form_alone_are_partners(put):
    composed, decomposed = (unicodedata.normalize(form, "Straße für Bäume") for form in ("NFC", "NFD"))
    assert composed != decomposed
    root = put(
        f"images/{decomposed}.png", f"masks/{composed}.png", f"images/{composed}2.png", f"masks/{decomposed}2.png"
    )
    assert len(pairs(root)) == 2
    (root / "train.txt").write_text(composed + "\n", encoding="utf-8-sig")
    assert pairs(root) == [(f"images/{decomposed}.png", f"masks/{composed}.png")]


def test_files_that_are_not_used_are_listed_by_kind(put):
    root = put("images/1.png", "masks/1.png", "masks/2.png")
    (root / "images/1.json").write_text("{}")
    (root / "images/sub").mkdir()
    (root / "images/sub/3.npy").write_bytes(b"")
    (root / "images/Thumbs.db").write_bytes(b"")
    (root / "images/.hidden.png").write_bytes(b"")
    assert Folder(root, classes=2, val_fraction=0).assumptions()[-1] == (
        "files that are not used: 3 (1 .json, 1 .npy, 1 .png): images/1.json, images/sub/3.npy, masks/2.png"
    )


def fails(root, match, **settings):
    with pytest.raises(InputError, match=match) as caught:
        pairs(root, **settings)
    assert "\n" not in str(caught.value)


def test_masks_of_a_lossy_format_are_named_as_such(put):
    fails(
        put("images/1.png", "masks/1.jpg"),
        r"1 image\(s\) without a mask: images/1.png; .*masks/1.jpg is of no lossless",
    )


def test_a_folder_of_another_kind_of_file_says_what_is_there(put):
    root = put("images/1.png")
    (root / "images/1.png").rename(root / "images/1.dcm")
    fails(root, r"images/\*\*/\* fits no image: expected files ending in .png .*, found 1 \(1 .dcm\): images/1.dcm")


@pytest.mark.parametrize(
    ("images", "masks", "message"),
    [
        ("*.xyz", "{stem}.png", r"/\*.xyz fits no image"),
        (
            "images/*.png",
            "masks/{stem}_x.png",
            r"2 image\(s\) without a mask: images/1.png, images/2.png; expected masks/1_x",
        ),
        ("images/*.png", "masks/1.png", "two images of one mask masks/1.png: images/1.png and images/2.png"),
        ("images/*.png", "masks/{name}.png", "unknown field {name}: expected {parent}, {path}, {split}, {stem}"),
        ("images/{stem}.png", "masks/{stem}.png", "unknown field {stem}: expected {split}"),
        ("{split}/*.png", "masks/{stem}.png", "fits no image: .* found no file"),
    ],
)
def test_patterns_that_fit_nothing_are_one_line(put, images, masks, message):
    fails(put("images/1.png", "images/2.png", "masks/1.png", "masks/2.png"), message, images=images, masks=masks)


def test_two_masks_of_one_image(put):
    fails(put("images/1.png", "masks/1.png", "masks/1.tif"), "two masks of one name: masks/1.png and 1.tif; keep one")


def test_a_source_goes_to_other_processes_without_what_it_has_found(put):
    import pickle

    source = Folder(put("images/1.png", "masks/1.png"), classes=2, val_fraction=0)
    before = len(pickle.dumps(source))
    source.samples("train")
    assert len(pickle.dumps(source)) == before
    assert pickle.loads(pickle.dumps(source)) == source
