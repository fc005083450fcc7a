"""Oxford-IIIT Pet: its layout in miniature, its trimaps, and its error messages."""

import shutil
from pathlib import Path

import pytest
from helpers import miniatures
from torchvision.datasets import OxfordIIITPet

from autosegloss.data import OxfordPet
from autosegloss.data.datasets import pet
from autosegloss.errors import InputError

TRAINVAL = [f"Abyssinian_{k}" for k in range(1, 11)]


@pytest.fixture
def root(tmp_path):
    miniatures.pets(tmp_path)
    return tmp_path


def stems(source, split):
    return [Path(sample.name).stem for sample in source.samples(split)]


def fails(source, match, split="train"):
    with pytest.raises(InputError, match=match) as caught:
        source.samples(split)
    assert "\n" not in str(caught.value)


def test_a_seeded_part_of_trainval_validates(root):
    train, val = (stems(OxfordPet(root), split) for split in ("train", "val"))
    assert (len(train), len(val)) == (8, 2)
    assert sorted(train + val) == sorted(TRAINVAL)
    assert val == stems(OxfordPet(root), "val")
    assert any(val != stems(OxfordPet(root, seed=seed), "val") for seed in (1, 2, 3))
    assert stems(OxfordPet(root), "test") == ["beagle_1", "beagle_2"]


def test_all_of_trainval_trains_where_no_part_of_it_validates(root):
    source = OxfordPet(root, val_fraction=0)
    assert (stems(source, "train"), stems(source, "val")) == (TRAINVAL, [])
    assert source.expected == {"train": 3680, "val": 0, "test": 3669}


def test_the_outline_of_a_trimap_is_ignored(root):
    _, label = OxfordPet(root).samples("test")[0].load()
    assert label[0, :3].tolist() == [1, 0, 255]
    assert OxfordPet.class_names == ("background", "pet")


def test_torchvision_reads_the_same_files(root):
    theirs = OxfordIIITPet(root, split="test", target_types="segmentation")
    mine = OxfordPet(root).samples("test")
    assert [str(path) for path in theirs._images] == [sample.name for sample in mine]
    assert [str(path) for path in theirs._segs] == [sample.mask for sample in mine]


def test_the_root_may_be_the_folder_itself(root):
    assert stems(OxfordPet(root / "oxford-iiit-pet"), "train") == stems(OxfordPet(root), "train")


@pytest.mark.parametrize("fraction", [1, -0.1, "half", True, float("nan")])
def test_an_invalid_fraction(fraction):
    with pytest.raises(InputError, match=r"data.source.val_fraction must be in \[0, 1\), got"):
        OxfordPet("ROOT", val_fraction=fraction)


def test_no_root():
    fails(OxfordPet(), r"set data.root=ROOT; expected ROOT/oxford-iiit-pet/images .*www.robots.ox.ac.uk/~vgg/data/pets")


def test_another_folder(tmp_path):
    fails(OxfordPet(tmp_path), "holds no oxford-iiit-pet/: expected ROOT/.*data.download=true fetches it")


def test_missing_files(root):
    (root / "oxford-iiit-pet/images/beagle_2.jpg").unlink()
    fails(OxfordPet(root), "1 of 2 samples have no image: beagle_2; expected ROOT/", "test")
    (root / "oxford-iiit-pet/annotations/test.txt").unlink()
    fails(OxfordPet(root), "test.txt: the list cannot be read", "test")


def test_it_is_fetched_once(tmp_path, monkeypatch):
    monkeypatch.setattr(pet, "OxfordIIITPet", lambda draft, download: miniatures.pets(draft))
    assert stems(OxfordPet(tmp_path, download=True), "test") == ["beagle_1", "beagle_2"]
    monkeypatch.delattr(pet, "OxfordIIITPet")
    assert stems(OxfordPet(tmp_path, download=True), "test") == ["beagle_1", "beagle_2"]


def test_a_host_that_does_not_answer(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError("<urlopen error [Errno -2] Name or service not known>")

    monkeypatch.setattr("torchvision.datasets.oxford_iiit_pet.download_and_extract_archive", refuse)
    fails(OxfordPet(tmp_path, download=True), r"pet cannot be downloaded \(<urlopen .*: unpack it yourself, expected")


def test_what_is_incomplete_is_not_overwritten(root):
    shutil.rmtree(root / "oxford-iiit-pet" / "annotations")
    fails(OxfordPet(root, download=True), "oxford-iiit-pet is there, but not as it should be: move it away")
    assert (root / "oxford-iiit-pet" / "images" / "beagle_1.jpg").exists()
