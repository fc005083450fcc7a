"""Cityscapes: its layout in miniature, the table of its ids, and its error messages."""

import shutil
from pathlib import Path

import pytest
import torch
from helpers import miniatures
from torchvision.datasets import Cityscapes as Official

from autosegloss.data import Cityscapes
from autosegloss.data.reading import load_sample
from autosegloss.errors import InputError


@pytest.fixture
def root(tmp_path):
    return miniatures.cityscapes(tmp_path)


def stems(split, root):
    return [Path(sample.name).name.removesuffix("_leftImg8bit.png") for sample in Cityscapes(root).samples(split)]


def fails(root, match):
    with pytest.raises(InputError, match=match) as caught:
        Cityscapes(root).samples("train")
    assert "\n" not in str(caught.value)


def test_frames_are_in_order_of_city_and_time(root):
    assert stems("train", root) == ["aachen_000002_000019", "aachen_000010_000019", "zurich_000000_000019"]
    assert stems("val", root) == ["lindau_000000_000019"]


def test_the_test_split_has_no_labels_to_use(root):
    assert stems("test", root) == []


def test_every_id_becomes_its_class_or_is_ignored(root):
    """Against the official list, id by id: 0..33, and -1 of licence plates, which a file holds as 255."""
    _, label = load_sample(Cityscapes(root).samples("train")[0], Cityscapes(root))
    train_ids = {known.id: known.train_id for known in Official.classes}
    expected = [train_ids[i] if 0 <= train_ids[i] < 19 else 255 for i in [*range(34), -1]]
    assert label[0, :35].tolist() == expected
    assert label.dtype == torch.uint8


def test_the_19_classes_have_their_names():
    assert Cityscapes().num_classes == 19
    assert [Cityscapes.class_names[i] for i in (0, 1, 2, 13, 18)] == ["road", "sidewalk", "building", "car", "bicycle"]


def test_an_unknown_id_is_refused(tmp_path):
    source = Cityscapes(miniatures.cityscapes(tmp_path, values=[7, 77]))
    with pytest.raises(InputError, match=r"_gtFine_labelIds.png: label 77 is no class"):
        load_sample(source.samples("train")[0], source)


def test_train_ids_are_read_without_ids(tmp_path):
    source = Cityscapes(miniatures.cityscapes(tmp_path, "labelTrainIds", [0, 18, 255]))
    assert torch.unique(source.samples("train")[0].load()[1]).tolist() == [0, 18, 255]


def test_ids_are_preferred_to_train_ids(root):
    miniatures.cityscapes(root, "labelTrainIds", [3])
    assert all(sample.mask.endswith("_labelIds.png") for sample in Cityscapes(root).samples("train"))


def test_a_part_of_the_images_suffices(root):
    shutil.rmtree(root / "leftImg8bit" / "val")
    (root / "leftImg8bit/train/zurich/zurich_000000_000019_leftImg8bit.png").unlink()
    assert (len(stems("train", root)), stems("val", root)) == (2, [])


def test_no_root():
    fails(None, r"set data.root=ROOT; expected ROOT/leftImg8bit/.*www.cityscapes-dataset.com asks for an account")


def test_another_folder(tmp_path):
    fails(tmp_path, "holds no leftImg8bit/train/: expected ROOT/leftImg8bit/{train,val}/CITY/")


def test_no_masks(root):
    shutil.rmtree(root / "gtFine")
    fails(root, "3 of 3 samples have no mask: aachen_000002_000019, .*; expected ROOT/leftImg8bit/")


def test_no_images(root):
    shutil.rmtree(root / "leftImg8bit")
    (root / "leftImg8bit" / "train" / "aachen").mkdir(parents=True)
    fails(root, "train holds no images: expected ROOT/leftImg8bit/")
