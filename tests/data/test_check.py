"""The check of a data set: its counts, the faults that it finds, its tables and its picture."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from autosegloss.data import Folder, Sample, Source
from autosegloss.data.check.checks import check_sample, check_splits
from autosegloss.data.check.findings import Finding, findings, notes, warnings
from autosegloss.data.check.picture import most_varied, picture
from autosegloss.data.check.tables import classes_table, ranges, splits_table
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
            return torch.full((3, *what.shape[-2:]), 100, dtype=torch.uint8), what

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
    pixels, images = train.class_shares(3, ignore_index=255)
    assert pixels.tolist() == pytest.approx([3 / 4, 1 / 4, 0])
    assert images.tolist() == pytest.approx([2 / 3, 1 / 3, 0])  # of those that can be read
    assert np.isnan(val.class_shares(3, ignore_index=255)).all()
    pixels, images = train.class_shares(3, ignore_index=0)  # class 0 is out of the table
    assert pixels.tolist() == pytest.approx([np.nan, 1, 0], nan_ok=True)
    assert images.tolist() == pytest.approx([np.nan, 1 / 3, 0], nan_ok=True)
    assert test.labels == [1]


def test_what_is_wrong_is_named_by_kind():
    assert findings(list(check_splits(SOURCE)), SOURCE) == [
        Finding(
            "labels that are no class",
            [
                "train: c.png: label 9 is no class: expected 0..2, or 255 for pixels to ignore; "
                "correct the mask or the number of classes"
            ],
        ),
        Finding("samples that cannot be loaded", ["train: d: cannot be loaded (OSError: gone away)"]),
    ]


def test_the_rarest_kind_of_fault_comes_first():
    broken = {f"x{i}": OSError() for i in range(5)}
    source = Made({"train": {"a": label(0, 1), **broken, "b": label(9)}})
    found = findings(list(check_splits(source)), source)
    assert [(finding.kind, len(finding.faults)) for finding in found] == [
        ("labels that are no class", 1),
        ("samples that cannot be loaded", 5),
    ]


def test_faults_of_the_whole_come_before_those_of_files():
    source = Made({"train": {"a": label(0, 255), "b": label(0), "c": OSError()}})
    found = findings(list(check_splits(source)), source)
    assert [finding.kind for finding in found] == ["nothing to learn", "samples that cannot be loaded"]
    assert "set 'data.source.labels={0: 0, 255: 1}'" in found[0].faults[0]


def test_a_source_that_breaks_the_contract_is_told_so():
    assert (
        "expected uint8 or float32 (3, H, W) and uint8 (H, W), got"
        in check_sample(Sample("x", lambda: (label(0), label(0))), SOURCE).fault
    )
    wide = torch.zeros(3, 1, 2, dtype=torch.uint8), label(0).long()
    assert "torch.int64 (1, 1)" in check_sample(Sample("x", lambda: wide), SOURCE).fault


def test_a_data_set_without_training_images_is_wrong():
    source = Made({"test": {"e": label(1)}})
    assert findings(list(check_splits(source)), source) == [Finding("no training data", ["train: no samples"])]


@pytest.mark.parametrize(("value", "told"), [(4095, True), (60000, False)])
def test_images_that_use_little_of_their_range_are_told(tmp_path, value, told):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    Image.fromarray(np.full((4, 4), value, np.uint16)).save(tmp_path / "images" / "a.png")
    Image.fromarray(np.eye(4, dtype=np.uint8)).save(tmp_path / "masks" / "a.png")
    source = Folder(tmp_path, classes=2, val_fraction=0)
    assert [("dark, at most 15.9 " in doubt) for doubt in warnings(list(check_splits(source)), source)] == [True] * told
    bright = Folder(tmp_path, classes=2, val_fraction=0, max_value=value)
    assert list(warnings(list(check_splits(bright)), bright)) == []


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
        "no pixel in test of: sky, car",
    ]
    assert list(warnings(reports, SOURCE)) == [
        "no pixel in any training mask is of class 2 (car): the data cannot teach it",
        "2 of 3 training masks hold a single class",
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


def test_classes_that_do_not_exclude_each_other_are_counted_each_by_itself():
    first = torch.tensor([[[1, 1, 0, 255]], [[1, 0, 0, 0]], [[0, 0, 0, 0]]], dtype=torch.uint8)
    source = Made({"train": {"a": first, "b": first[:2], "c": first * 3}, "val": {"d": first.roll(1, dims=0)}})
    train, val, _ = reports = list(check_splits(source, exclusive=False))
    pixels, images = train.class_shares(3, ignore_index=255)
    assert pixels.tolist() == pytest.approx([2 / 7, 1 / 8, 0])  # of the pixels that count for the class
    assert val.class_shares(3, ignore_index=255)[0].tolist() == pytest.approx([0, 2 / 3, 1 / 4])
    assert images.tolist() == pytest.approx([1 / 2, 1 / 2, 0])
    assert val.ignored_share(255) == pytest.approx(1 / 12)
    assert val.labels == [1, 2]
    kinds = {finding.kind: finding.faults for finding in findings(reports, source)}
    assert (
        "and uint8 (3, H, W), got torch.uint8 (3, 1, 4) and torch.uint8 (2, 1, 4)"
        in kinds.pop("samples that cannot be loaded")[0]
    )
    assert [faults[0] for faults in kinds.values()] == [
        "train: c.png: expected 0 and 1 for each class, or ignore_index, got 3"
    ]
    assert list(warnings(reports, source)) == [
        "no pixel in any training mask is of class 2 (car): the data cannot teach it"
    ]
    assert len(picture(reports, source).axes) == 2 * 3


def test_a_label_to_ignore_is_no_class_where_classes_have_masks_of_their_own():
    class Two(Made):
        ignore_index = 2

    source = Two({"train": {"a": torch.tensor([[[1, 2]], [[0, 1]], [[1, 1]]], dtype=torch.uint8)}})
    train, *_ = reports = list(check_splits(source, exclusive=False))
    assert train.class_shares(3, ignore_index=2)[0].tolist() == [1, 0.5, 1]
    assert train.ignored_share(2) == pytest.approx(1 / 6)
    assert [*warnings(reports, source), *(note for note in notes(reports, source) if "ignore" in note)] == []


def test_labels_of_another_task_are_faults():
    source = Made({"train": {"a": label(0, 1)}})
    (found,) = findings(list(check_splits(source, exclusive=False)), source)
    assert "expected uint8 or float32 (3, H, W) and uint8 (3, H, W), got" in found.faults[0]
