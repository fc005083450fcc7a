"""python -m autosegloss.data check: its counts, the faults that it finds, and how it ends."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import miniatures
from PIL import Image
from torch import Tensor

from autosegloss.cli.data import compose_source, main
from autosegloss.data import Sample, Source
from autosegloss.data.check.checks import check_sample, check_splits
from autosegloss.data.check.picture import most_varied, picture
from autosegloss.data.check.tables import classes_table, faults, notes, ranges, splits_table
from autosegloss.report import palette


@dataclass(frozen=True)
class Made(Source):
    """A source of labels given by the test: {split: {name: label or error}}."""

    content: dict = field(hash=False)
    class_names = ("sky", "road", "car")
    expected = {"train": 3, "val": 0}  # noqa: RUF012

    def samples(self, split: str) -> list[Sample]:
        return [Sample(name, self._loader(what), f"{name}.png") for name, what in self.content.get(split, {}).items()]

    @staticmethod
    def _loader(what: Tensor | Exception) -> Callable:
        def load():
            if isinstance(what, Exception):
                raise what
            return torch.full((3, *what.shape), 100, dtype=torch.uint8), what

        return load


def label(*values: int) -> Tensor:
    return torch.tensor([values], dtype=torch.uint8)


SOURCE = Made(
    {
        "train": {"a": label(0, 0, 1, 255), "b": label(0, 255), "c": label(9), "d": OSError("gone\naway")},
        "test": {"e": label(1)},
    }
)


def test_what_is_there_is_counted():
    train, val, test = reports = list(check_splits(SOURCE))
    assert [(r.split, r.available, r.expected, len(r.samples)) for r in reports] == [
        ("train", 4, 3, 4),
        ("val", 0, 0, 0),
        ("test", 1, None, 1),
    ]
    assert train.labels == [0, 1, 9, 255]
    assert train.sizes == [(1, 1), (1, 2), (1, 4)]
    assert train.ignored_share(255) == pytest.approx(2 / 7)
    pixels, images = train.class_shares(3)
    assert pixels.tolist() == pytest.approx([3 / 4, 1 / 4, 0])
    assert images.tolist() == pytest.approx([2 / 3, 1 / 3, 0])  # of those that can be read
    assert np.isnan(val.class_shares(3)).all()
    assert test.labels == [1]


def test_what_is_wrong_is_named():
    assert faults(list(check_splits(SOURCE))) == [
        "train: c.png: label 9 is no class: expected 0..2, or 255 for pixels to ignore; "
        "correct the mask or the number of classes",
        "train: d: cannot be loaded (OSError: gone away)",
    ]


def test_a_source_that_breaks_the_contract_is_told_so():
    assert (
        "expected uint8 (3, H, W) and (H, W), got"
        in check_sample(Sample("x", lambda: (label(0), label(0))), SOURCE).fault
    )
    wide = torch.zeros(3, 1, 2, dtype=torch.uint8), label(0).long()
    assert "torch.int64 (1, 1)" in check_sample(Sample("x", lambda: wide), SOURCE).fault


def test_a_data_set_without_training_images_is_wrong():
    assert faults(list(check_splits(Made({"test": {"e": label(1)}})))) == ["train: no samples"]


def test_a_limit_reads_the_first_samples_only():
    train = next(check_splits(SOURCE, limit=2))
    assert (train.available, [one.sample.name for one in train.samples]) == (4, ["a", "b"])


def test_every_sample_is_counted_as_it_is_read():
    calls = []
    list(check_splits(SOURCE, on_sample=lambda *call: calls.append(call)))
    assert sorted(calls) == [("test", 1)] + [("train", 4)] * 4


def test_the_tables_say_it():
    reports = list(check_splits(SOURCE))
    assert splits_table(reports, SOURCE).rows == [
        ["train", "4", "3", "4", "1x1 .. 1x4", "0-1, 9, 255", "28.57", "2"],
        ["val", "0", "0", "0", "", "", "", "0"],
        ["test", "1", "", "1", "1x1", "1", "0.00", "0"],
    ]
    assert classes_table(reports, SOURCE).rows == [
        ["0", "sky", "75.00", "66.67", "0.00", "0.00"],
        ["1", "road", "25.00", "33.33", "100.00", "100.00"],
        ["2", "car", "0.00", "0.00", "0.00", "0.00"],
    ]
    assert list(notes(reports, SOURCE)) == [
        "train counts 4, the whole data set 3",
        "no pixel in train of: car",
        "no pixel in test of: sky, car",
    ]


@pytest.mark.parametrize(
    ("numbers", "text"), [([], []), ([3], ["3"]), ([0, 1, 2, 255], ["0-2", "255"]), ([1, 3, 4], ["1", "3-4"])]
)
def test_neighbouring_labels_are_drawn_together(numbers, text):
    assert ranges(numbers) == text


def test_the_picture_takes_what_shows_new_classes_first():
    source = Made({"train": {"a": label(0), "b": label(0), "c": label(0, 1), "d": label(2)}})
    samples = next(check_splits(source)).samples
    assert [one.sample.name for one in most_varied(samples, 3, num_classes=3)] == ["c", "d", "b"]
    assert len(most_varied(samples, 9, num_classes=3)) == 4


def test_the_picture_shows_image_mask_and_overlay():
    figure = picture(list(check_splits(SOURCE)), SOURCE)
    rows = np.reshape(figure.axes, (-1, 3))
    assert [row[0].get_title() for row in rows] == ["train: a", "train: b", "test: e"]
    image, mask, overlay = (np.asarray(panel.images[0].get_array()) for panel in rows[0])
    assert (image == 100).all()
    assert mask[0].tolist() == [*palette(3)[[0, 0, 1]].tolist(), [190] * 3]
    assert overlay[0, -1].tolist() == [100] * 3  # ignored: the image shows
    assert overlay[0, 2].tolist() == [int(0.45 * 100 + 0.55 * c) for c in palette(3)[1].tolist()]


def test_nothing_to_show_makes_no_picture():
    assert picture(list(check_splits(Made({"train": {"d": OSError()}}))), SOURCE) is None


def of(folder) -> list[str]:
    """The arguments for the folder of two classes that the fixture `folder` makes."""
    return ["data=folder", f"data.root={folder}", "data.source.classes=2"]


@pytest.fixture
def check(monkeypatch, tmp_path, capsys):
    """`check("data=voc")` is `python -m autosegloss.data check data=voc`; its exit code or message, and its output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # the program sets it; the fixture puts it back

    def run(*arguments: str) -> tuple[int | str, str]:
        monkeypatch.setattr(sys, "argv", ["check", "check", *arguments])
        try:
            main()
        except SystemExit as end:
            return end.code, capsys.readouterr().out
        return 0, capsys.readouterr().out

    return run


def test_sound_data_end_with_0_and_a_picture(check, tmp_path):
    miniatures.voc(tmp_path)
    miniatures.sbd(tmp_path / "SBD")
    code, out = check("data=voc", f"data.root={tmp_path}", "out=pictures/voc.png")
    assert code == 0
    assert "picture: pictures/voc.png" in out
    assert "note: train counts 4, the whole data set 10582" in out
    assert re.search(r"train +│ +4 │ +10582 │ +4 │ 6x8 +│ 0, 7, 20, 255", out)
    with Image.open(tmp_path / "pictures" / "voc.png") as drawn:
        assert drawn.size > (300, 300)


@pytest.mark.parametrize(
    ("name", "make"), [("voc", miniatures.voc), ("cityscapes", miniatures.cityscapes), ("pet", miniatures.pets)]
)
def test_every_data_set_is_checked_with_the_root_of_its_config(check, tmp_path, name, make):
    make(tmp_path)
    augmented = ["data.source.augmented=false"] if name == "voc" else []
    assert check(f"data={name}", f"data.root={tmp_path}", *augmented)[0] == 0


def test_broken_files_are_all_counted_and_ten_are_named(check, folder):
    masks = folder / "train" / "masks"
    for number in range(9):
        (masks / f"frame{number}.png").write_bytes(b"broken")
    Image.new("L", (10, 8), 7).save(masks / "frame9.png")
    Image.new("L", (4, 4)).save(masks / "frame10.png")
    (folder / "val" / "images" / "frame2.png").write_bytes(b"")
    code, out = check(*of(folder))
    assert code == "error: 12 faults, see above"
    assert out.count("cannot be read as an image") == 9
    assert "fault: train: " in out
    assert "frame9.png: label 7 is no class: expected 0..1" in out
    assert "... and 2 more" in out
    [size] = [fault for fault in faults(list(check_splits(compose_source(of(folder))))) if "differ in size" in fault]
    assert "frame10.png has 4x4" in size


def test_data_of_which_nothing_can_be_read_still_end_with_the_list(check, folder):
    for path in (folder / "train" / "images").iterdir():
        path.write_bytes(b"")
    for path in (folder / "val" / "images").iterdir():
        path.write_bytes(b"")
    code, out = check(*of(folder))
    assert code == "error: 15 faults, see above"
    assert "picture" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data=voc"], "error: the data's folder is not given: set data.root=ROOT; expected ROOT/"),
        (["data=voc", "data.root=nowhere"], "error: no such folder: nowhere; set data.root=ROOT; expected ROOT/"),
        (["data=nothing"], "error: unknown data 'nothing': choose one of "),
        (["data=pet", "data.source.val_fraction=2"], "error: data.source.val_fraction must be in"),
        (["data=shapes", "data.batch_size=0"], "error: data.batch_size: expected an integer of 1 or more"),
        (["data=shapes", "limit=0"], "error: limit must be a whole number of 1 or more, got '0'"),
        (["data=shapes", "limit=1", "out=x.nothing"], r"error: the picture cannot be written \("),
        (["data=shapes", "data.nothing=1"], "error: Could not override 'data.nothing'"),
    ],
)
def test_a_mistake_is_one_line(check, monkeypatch, arguments, message):
    monkeypatch.delenv("VOC_ROOT", raising=False)
    code, _ = check(*arguments)
    assert re.match(message, code)
    assert "\n" not in code


def test_a_closed_pipe_ends_it_without_a_message(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.setattr(sys, "argv", ["check", "check", "data=shapes", "data.source.train=4"])
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        with pytest.raises(SystemExit) as ended:
            main()
    assert isinstance(ended.value.code, int)
    assert ended.value.code != 0
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_the_program_runs_in_any_folder(folder, tmp_path):
    (folder / "train" / "masks" / "frame0.png").write_bytes(b"")
    done = subprocess.run(
        [sys.executable, "-m", "autosegloss.data", "check", *of(folder), "limit=2"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (1, "error: 1 fault, see above\n")
    assert (tmp_path / "data_check.png").exists()


def test_the_source_of_the_page_on_data_is_sound(tmp_path):
    space = {}
    page = Path(__file__).parents[2] / "docs" / "data.md"
    exec(re.search(r"```python\n(.*?)```", page.read_text(), flags=re.S)[1], space)
    miniatures.image(tmp_path / "train" / "a_photo.jpg")
    miniatures.grey(tmp_path / "train" / "a_roofs.png", [0, 1, 128])
    train = next(check_splits(space["Roofs"](str(tmp_path))))
    assert (train.available, train.labels, train.faults) == (1, [0, 1, 255], [])
