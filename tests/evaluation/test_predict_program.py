"""autosegloss predict: masks of images as files."""

import numpy as np
import pytest
import torch
from helpers.trained_runs import write_trained
from PIL import Image

from autosegloss.cli.predict import main, run
from autosegloss.errors import InputError
from autosegloss.report import palette

SIZES = {"a.png": (40, 50), "sub/b.jpg": (33, 64), "c.png": (20, 30), "c.jpg": (30, 20)}


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder with images in a folder of their own, and the current folder around it."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, size in SIZES.items():
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*size, 3)).astype(np.uint8)).save(tmp_path / "photos" / name)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return write_trained(tmp_path_factory.mktemp("runs") / "run", "data.size=[32,48]")


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_folder_of_images_becomes_a_folder_of_masks(photos, trained, capsys):
    run([str(trained), "images=photos", "out=masks"])
    assert capsys.readouterr().out == "masks: 4 in masks\n"
    assert files(photos / "masks") == ["a.png", "c.jpg.png", "c.png.png", "sub/b.png"]
    with Image.open(photos / "masks/a.png") as mask:
        assert (mask.mode, mask.size) == ("P", (50, 40))
        assert np.asarray(mask).max() < 6
        assert mask.getpalette()[: 6 * 3] == palette(6).flatten().tolist()


def test_one_image_and_its_overlay(photos, trained):
    run([str(trained), "images=photos/sub/b.jpg", "out=masks", "overlay=true", "window=32", "flip=true"])
    assert files(photos / "masks") == ["b.png", "b_overlay.jpg"]
    with Image.open(photos / "masks/b_overlay.jpg") as overlay:
        assert overlay.size == (64, 33)


def test_what_is_no_image_is_skipped_and_told_at_the_end(photos, trained, capsys, monkeypatch):
    (photos / "photos/bad.png").write_bytes(b"no image")
    monkeypatch.setattr("sys.argv", ["predict", str(trained), "images=photos", "out=masks"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    with pytest.raises(SystemExit, match=r"^error: 1 of 5 files could not be read, see above$"):
        main()
    assert "skipped: photos/bad.png: cannot be read as an image" in capsys.readouterr().out
    assert len(files(photos / "masks")) == 4


def test_the_data_of_the_training_need_not_be_there(photos, tmp_path):
    trained = write_trained(tmp_path / "run", "data=folder", "data.root=gone", "data.size=32", classes=2, shapes=False)
    (trained / "data.yaml").write_text("classes: [sky, road]\n")
    run([str(trained), "images=photos/a.png", "out=masks"])
    assert files(photos / "masks") == ["a.png"]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("labels={7: 0, 300: 1, 8: 0}", lambda index: np.array([7, 300], np.uint16)[index]),
        ("labels={7: 0, 30: 1}", lambda index: np.array([7, 30], np.uint8)[index]),
        ("colours={sky: [1,2,3], road: [255,0,9]}", lambda index: np.array([[1, 2, 3], [255, 0, 9]], np.uint8)[index]),
    ],
)
def test_masks_in_the_values_of_the_runs_table(photos, tmp_path, table, expected):
    trained = write_trained(
        tmp_path / "run",
        "data=folder",
        "data.root=photos",
        "data.size=32",
        "data.source.classes=[sky,road]",
        f"data.source.{table}",
        classes=2,
        shapes=False,
    )
    run([str(trained), "images=photos/a.png", "out=indices"])
    run([str(trained), "images=photos/a.png", "out=values", "values=true"])
    index, values = (np.array(Image.open(photos / folder / "a.png")) for folder in ("indices", "values"))
    assert np.array_equal(values, expected(index))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["images=photos", "out=m"], "expected the folder of a run, got none"),
        (["{run}", "out=m"], "images is not given: set images=PATH"),
        (["{run}", "images=photos"], "out is not given: set out=PATH"),
        (["{run}", "images=nowhere", "out=m"], "images=nowhere: there is no such file or folder"),
        (["{run}", "images=empty", "out=m"], "images=empty holds no image"),
        (["{run}", "images=photos", "out=photos"], "out=photos lies within images=photos: choose a folder outside"),
        (["{run}", "images=photos", "out=photos/masks"], "out=photos/masks lies within images=photos"),
        (["{run}", "images=photos/a.png", "out=photos"], "out=photos lies within images=photos/a.png"),
        (["{run}", "images=photos", "out=m", "flip=2"], "flip: expected true or false, got 2"),
        (["{run}", "images=photos", "out=m", "overlap=1"], "overlap: expected a share"),
        (["{run}", "images=photos", "out=m", "values=true"], "the data of the run have no table of values"),
        (["{run}", "images=photos", "out=m", "windw=64"], "unknown setting 'windw': choose one of window, "),
        (["{run}", "images=photos", "out=photos/a.png/m"], "lies within"),
        (["{run}", "images=photos", "out=m", "data.source.bands=[0,1]"], "the network of the run takes 3 bands, got 2"),
        (
            ["{run}", "images=photos", "out=m", "data.source.bands=[0,1"],
            "data.source.bands: expected a list of numbers",
        ),
        (["{run}", "images=photos", "out=m", "data.source.max_value=-1"], "data.source.max_value: expected a number"),
        (["{run}", "images=photos", "out=m", "data.size=32"], "unknown setting 'data.size': choose one of "),
    ],
)
def test_a_mistake_is_one_line(photos, trained, arguments, message):
    (photos / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        run([argument.format(run=trained) for argument in arguments])


def test_the_same_image_has_the_same_mask_with_a_window_that_covers_it(photos, trained):
    run([str(trained), "images=photos/a.png", "out=whole"])
    run([str(trained), "images=photos/a.png", "out=window", "window=64"])
    whole, window = (np.asarray(Image.open(photos / folder / "a.png")) for folder in ("whole", "window"))
    assert torch.equal(torch.tensor(whole), torch.tensor(window))


def test_a_skipped_image_names_the_setting_that_reads_it(photos, trained, capsys):
    with Image.open(photos / "photos/a.png") as rgb:
        image = rgb.copy()
    image.putalpha(9)
    (photos / "clear").mkdir()
    image.save(photos / "clear/a.png")
    with pytest.raises(SystemExit):
        run([str(trained), "images=clear", "out=masks"])
    advice = capsys.readouterr().out.split()[-1]
    assert advice == "data.source.bands=[0,1,2]"
    run([str(trained), "images=clear", "out=masks", advice])
    run([str(trained), "images=photos/a.png", "out=opaque"])
    assert (photos / "masks/a.png").read_bytes() == (photos / "opaque/a.png").read_bytes()


def test_files_of_more_bits_are_read_by_the_scale_that_is_set(photos, trained):
    grey = np.random.default_rng(0).integers(0, 256, (40, 50)).astype(np.uint8)
    Image.fromarray(grey).save(photos / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 4).save(photos / "deep.png")
    run([str(trained), "images=grey.png", "out=masks"])
    run([str(trained), "images=deep.png", "out=masks", "data.source.max_value=1020"])
    assert (photos / "masks/grey.png").read_bytes() == (photos / "masks/deep.png").read_bytes()


@pytest.mark.parametrize(
    ("images", "out"),
    [
        ("photos", "masks/../photos"),
        ("photos", "link"),
        ("photos", "link/sub"),
        ("link", "photos"),
        ("photos/a.png", "link"),
        ("linked", "photos"),  # its image is a link to one of photos
        ("photos", "."),  # photos/photos/a.png has its mask at photos/a.png
    ],
)
def test_no_image_is_overwritten_through_another_path_to_it(photos, trained, images, out):
    for folder in ("masks", "linked", "photos/photos"):
        (photos / folder).mkdir()
    (photos / "link").symlink_to(photos / "photos")
    (photos / "linked/a.png").symlink_to(photos / "photos/a.png")
    (photos / "photos/photos/a.png").write_bytes((photos / "photos/a.png").read_bytes())
    before = {name: (photos / name).read_bytes() for name in files(photos)}
    with pytest.raises(InputError, match=f"^out={out}.*images={images}: choose"):
        run([str(trained), f"images={images}", f"out={out}", "overlay=true"])
    assert {name: (photos / name).read_bytes() for name in files(photos)} == before
