"""PASCAL VOC and SBD: their layouts in miniature, the augmented list, and its error messages."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import miniatures
from torchvision.datasets import SBDataset, VOCSegmentation

from autosegloss.data import VOC
from autosegloss.data.datasets import voc
from autosegloss.data.reading import load_sample
from autosegloss.errors import InputError

AUGMENTED = ["2007_000032", "2007_000039", "2008_000015", "2011_003276"]


@pytest.fixture
def root(tmp_path):
    miniatures.voc(tmp_path)
    miniatures.sbd(tmp_path / "SBD")
    return tmp_path


def stems(source, split="train"):
    return [Path(sample.name).stem for sample in source.samples(split)]


def labels(sample):
    return torch.unique(sample.load()[1]).tolist()


def fails(source, match, split="train"):
    with pytest.raises(InputError, match=match) as caught:
        source.samples(split)
    assert "\n" not in str(caught.value)


def test_the_augmented_list_is_voc_and_sbd_without_what_voc_validates_on(root):
    assert stems(VOC(root)) == AUGMENTED
    assert (stems(VOC(root), "val"), stems(VOC(root), "test")) == (["2007_000033"], [])


def test_without_sbd_the_training_list_is_that_of_voc(root):
    assert stems(VOC(root, augmented=False)) == AUGMENTED[:2]


def test_masks_of_voc_win_over_those_of_sbd(root):
    by_name = dict(zip(AUGMENTED, VOC(root).samples("train"), strict=True))
    assert labels(by_name["2007_000032"]) == [0, 20, 255]
    assert labels(by_name["2008_000015"]) == labels(by_name["2011_003276"]) == [0, 7]


@pytest.mark.parametrize("place", ["SBD", "benchmark_RELEASE/dataset", "VOCdevkit/VOCaug/dataset"])
@pytest.mark.parametrize("given", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_the_root_may_be_one_of_three_folders_and_sbd_in_one_of_three_places(tmp_path, place, given):
    miniatures.voc(tmp_path)
    miniatures.sbd(tmp_path / place)
    assert stems(VOC(tmp_path / given)) == AUGMENTED


def test_a_ready_folder_of_masks_takes_the_place_of_sbd(tmp_path):
    folder = miniatures.voc(tmp_path)
    for name in [*AUGMENTED, "2007_000033"]:
        miniatures.grey(folder / "SegmentationClassAug" / f"{name}.png", [0, 5])
    samples = VOC(tmp_path).samples("train")
    assert stems(VOC(tmp_path)) == AUGMENTED
    assert [labels(sample) for sample in samples] == [[0, 20, 255]] * 2 + [[0, 5]] * 2


def test_torchvision_reads_the_same_from_the_same_folders(root):
    """This shows that the miniatures have the real layouts."""
    theirs, mine = VOCSegmentation(root, image_set="val"), VOC(root).samples("val")
    assert [(sample.name, sample.mask) for sample in mine] == list(zip(theirs.images, theirs.masks, strict=True))
    sbd = SBDataset(root / "SBD", image_set="train", mode="segmentation")
    by_name = {Path(path).stem: np.asarray(sbd._get_target(path)) for path in sbd.masks}
    assert VOC(root).samples("train")[-1].load()[1].tolist() == by_name["2011_003276"].tolist()


def test_an_image_that_voc_lacks_is_taken_from_sbd(root):
    (root / "VOCdevkit/VOC2012/JPEGImages/2011_003276.jpg").unlink()
    assert VOC(root).samples("train")[-1].name.endswith("SBD/img/2011_003276.jpg")


def test_samples_travel_to_workers(root):
    sample = pickle.loads(pickle.dumps(VOC(root).samples("train")[-1]))
    image, label = load_sample(sample, VOC(root))
    assert (image.shape, label.shape, image.dtype, label.dtype) == ((3, 6, 8), (6, 8), torch.uint8, torch.uint8)


def test_there_are_21_classes_in_the_order_of_the_devkit():
    assert VOC().num_classes == 21
    assert [VOC.class_names[i] for i in (0, 1, 15, 20)] == ["background", "aeroplane", "person", "tv/monitor"]
    assert list(VOC.class_names[1:]) == sorted(VOC.class_names[1:])


@pytest.mark.parametrize(("lacking", "right"), [(0, True), (1, False)])
def test_complete_lists_must_give_10582_images(tmp_path, monkeypatch, lacking, right):
    """The real number of names, without files: the count is checked first."""
    lists = tmp_path / "VOCdevkit/VOC2012/ImageSets/Segmentation"
    numbers = [f"{k:05}" for k in range(1464 + 1449 + 9118)]
    miniatures.names(lists / "train.txt", *numbers[:1464])
    miniatures.names(lists / "val.txt", *numbers[1464:2913])
    (tmp_path / "SBD/cls").mkdir(parents=True)
    miniatures.names(tmp_path / "SBD/train.txt", *numbers[1000:6000])
    miniatures.names(tmp_path / "SBD/val.txt", *numbers[6000 : len(numbers) - lacking])
    expected = "10582 of 10582 samples have no image" if right else "10581 augmented training images instead of 10582"
    fails(VOC(tmp_path), expected)
    fails(
        VOC(tmp_path, augmented=False), "1464 of 1464 samples have no image: 00000, 00001, 00002, ...; expected ROOT/"
    )


def test_no_root():
    fails(VOC(), r"not given: set data.root=ROOT; expected ROOT/VOCdevkit/VOC2012/.*VOCtrainval_11-May-2012.tar")


def test_another_folder(tmp_path):
    fails(VOC(tmp_path), "holds no VOC 2012: expected ROOT/VOCdevkit/VOC2012.*data.download=true fetches it")


def test_no_sbd(tmp_path):
    miniatures.voc(tmp_path)
    fails(VOC(tmp_path), "no masks of SBD .*ROOT/SBD.*SegmentationClassAug.*data.source.augmented=false")
    assert len(VOC(tmp_path).samples("val")) == 1


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt", r"val.txt: the list cannot be read .*No such file"),
        ("VOCdevkit/VOC2012/SegmentationClass/2007_000039.png", "1 of 4 samples have no mask: 2007_000039; expected"),
        ("VOCdevkit/VOC2012/JPEGImages/2007_000032.jpg", None),  # SBD has it, too
        ("SBD/val.txt", r"SBD/val.txt: the list cannot be read"),
    ],
)
def test_something_is_missing(root, gone, message):
    (root / gone).unlink()
    if message:
        fails(VOC(root), message)
    else:
        assert stems(VOC(root)) == AUGMENTED


def test_an_empty_list(root):
    miniatures.names(root / "SBD/train.txt")
    fails(VOC(root), "SBD/train.txt: the list is empty")


@pytest.mark.parametrize("content", [b"", b"no MATLAB file", b"x" * 4096])
def test_a_broken_mask_of_sbd(root, content):
    (root / "SBD/cls/2011_003276.mat").write_bytes(content)
    with pytest.raises(InputError, match=r"2011_003276.mat: cannot be read as a mask of SBD \(.*\); replace the file"):
        VOC(root).samples("train")[-1].load()


def test_a_listed_mask_of_sbd_is_missing(root):
    (root / "SBD/cls/2011_003276.mat").unlink()
    fails(VOC(root), "1 of 4 samples have no mask: 2011_003276")


def test_the_archives_are_unpacked_where_they_are_looked_for(tmp_path, monkeypatch):
    """Functions that create the archives' folders stand in for torchvision's downloads."""
    monkeypatch.setattr(voc, "VOCSegmentation", lambda draft, year, download: miniatures.voc(draft))
    monkeypatch.setattr(
        voc, "download_and_extract_archive", lambda *args, **_: miniatures.sbd(args[1] / "benchmark_RELEASE/dataset")
    )
    assert stems(VOC(tmp_path / "new", download=True)) == AUGMENTED
    assert sorted(path.name for path in (tmp_path / "new").iterdir() if path.is_dir()) == ["SBD", "VOCdevkit"]


def test_complete_data_are_not_downloaded_again(root, monkeypatch):
    monkeypatch.delattr(voc, "VOCSegmentation")
    monkeypatch.delattr(voc, "download_and_extract_archive")
    assert stems(VOC(root, download=True)) == AUGMENTED


def test_sbd_is_not_fetched_without_augmentation(tmp_path, monkeypatch):
    monkeypatch.delattr(voc, "download_and_extract_archive")
    miniatures.voc(tmp_path)
    assert stems(VOC(tmp_path, augmented=False, download=True)) == AUGMENTED[:2]


def test_a_host_that_does_not_answer(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError("<urlopen error [Errno -2] Name or service not known>")

    monkeypatch.setattr("torchvision.datasets.voc.download_and_extract_archive", refuse)
    fails(
        VOC(tmp_path, download=True), r"VOC2012 cannot be downloaded \(<urlopen .*: unpack it yourself, expected ROOT/"
    )
    monkeypatch.setattr(voc, "download_and_extract_archive", refuse)
    miniatures.voc(tmp_path)
    fails(VOC(tmp_path, download=True), r"SBD cannot be downloaded .*: unpack it yourself, .*benchmark.tgz")
