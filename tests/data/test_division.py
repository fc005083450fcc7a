"""A folder without splits of its own: lists, groups, and splits with their share of every class."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from autosegloss.data import Folder, SegmentationData
from autosegloss.data.datasets.division import at_random
from autosegloss.data.holdout import group_split
from autosegloss.errors import InputError


@pytest.fixture
def root(tmp_path):
    """36 images of 12 patients; the masks of patient 3 alone show class 2."""
    for i in range(36):
        patient = i // 3
        for kind in ("images", "masks"):
            (tmp_path / kind / f"patient{patient}").mkdir(parents=True, exist_ok=True)
            mask = np.array([[0, 1, 2 if patient == 3 else 1]], np.uint8)
            Image.fromarray(mask).save(tmp_path / kind / f"patient{patient}" / f"{i}.png")
    return tmp_path


def parts(source):
    return {
        split: [int(s.name.rsplit("/")[-1][:-4]) for s in source.samples(split)] for split in ("train", "val", "test")
    }


def test_lists_divide_the_images(root):
    (root / "train.txt").write_text("images/patient0/1.png\n\n2\n patient1/4 \n", encoding="utf-8-sig")
    (root / "val.txt").write_text("0.png\n")
    source = Folder(root, classes=3)
    assert parts(source) == {"train": [1, 2, 4], "val": [0], "test": []}
    assert source.assumptions()[2] == "train.txt, val.txt divide the images: 3 train, 1 val, 0 test"


@pytest.mark.parametrize("name", ["./images/patient0/1.png", "/images/patient0/1.png", "images\\patient0\\1.png"])
def test_lists_may_write_paths_in_other_ways(root, name):
    (root / "train.txt").write_text(f"{name} {name.replace('images', 'masks')}\n")
    assert parts(Folder(root, classes=3))["train"] == [1]


def test_lists_of_other_names_can_be_given(root):
    (root / "mine.txt").write_text("images/patient0/1.png masks/patient0/1.png\n")
    assert parts(Folder(root, classes=3, lists={"train": "mine.txt"})) == {"train": [1], "val": [], "test": []}


@pytest.mark.parametrize(
    ("train", "val", "message"),
    [
        (
            "1\nx\n",
            "2\n",
            "train.txt: 1 of 2 names fit no image, or several: x; expected paths below the root, or stems",
        ),
        ("1\n2\n", "2\n", "images/patient0/2.png is named twice, in .*train.txt and .*val.txt"),
        ("1\n1\n", "2\n", "images/patient0/1.png is named twice"),
        ("", "2\n", "train.txt: the list is empty"),
    ],
)
def test_lists_that_do_not_fit_are_one_line(root, train, val, message):
    (root / "train.txt").write_text(train)
    (root / "val.txt").write_text(val)
    with pytest.raises(InputError, match=message):
        Folder(root, classes=3).samples("train")


def test_a_list_of_an_unknown_split(root):
    with pytest.raises(InputError, match=r"unknown split of data.source.lists 'validation': choose one of"):
        Folder(root, classes=3, lists={"validation": "x.txt"})


def test_groups_stay_together_in_all_splits_and_in_the_hold_out(root):
    source = Folder(root, classes=3, group=r"patient\d+", val_fraction=0.25, test_fraction=0.2)
    divided = parts(source)
    patients = [{i // 3 for i in part} for part in divided.values()]
    assert sum(len(part) for part in divided.values()) == 36
    assert sum(map(len, patients)) == len(set.union(*patients)) == 12
    assert {len(part) % 3 for part in divided.values()} == {0}
    data = SegmentationData(source, size=None, batch_size=2, holdout=0.3)
    kept, held = ({source.samples("train")[i].group for i in part} for part in data.parts)
    assert held
    assert not kept & held


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("sequence", r"group=sequence finds no group in 36 of 36 paths: images/patient0/0.png"),
        ("(", "no regular expression"),
    ],
)
def test_a_group_that_is_not_found_is_one_line(root, group, message):
    with pytest.raises(InputError, match=message):
        Folder(root, classes=3, group=group).samples("train")


@given(st.lists(st.integers(0, 9), min_size=2, max_size=80), st.floats(0.05, 0.95), st.integers(0, 99))
def test_a_split_by_groups_is_a_partition_of_whole_groups(groups, holdout, seed):
    if len(set(groups)) == 1 or not 0 < round(holdout * len(groups)) < len(groups):
        return
    kept, held = group_split(groups, holdout, seed)
    assert sorted(kept + held) == list(range(len(groups)))
    assert kept
    assert held
    assert not {groups[i] for i in kept} & {groups[i] for i in held}


def test_one_group_cannot_be_divided():
    with pytest.raises(InputError, match="all 4 samples are of one group"):
        group_split(["a"] * 4, 0.5)


@given(st.integers(0, 999))
def test_stratified_splits_have_their_share_of_rare_classes(seed):
    rng = np.random.default_rng(seed)
    frequency = np.array([1.0, 0.5, 0.2, 0.05])
    shown = rng.random((200, 4)) < frequency
    shown[:10, 3] = True  # ten images at least
    classes = [frozenset(np.flatnonzero(row).tolist()) for row in shown]
    divided = at_random(200, {"test": 0.1, "val": 0.2}, seed, classes=classes)
    assert sorted(i for part in divided.values() for i in part) == list(range(200))
    for split, share in {"train": 0.7, "val": 0.2, "test": 0.1}.items():
        assert abs(len(divided[split]) - 200 * share) <= 2
        for c in range(4):
            assert abs(sum(c in classes[i] for i in divided[split]) - share * shown[:, c].sum()) <= 2


def test_a_stratified_folder_reads_its_masks(root):
    source = Folder(root, classes=3, stratify=True, val_fraction=1 / 3)
    divided = parts(source)
    rare = Counter(split for split, part in divided.items() for i in part if i // 3 == 3)
    assert rare == {"train": 2, "val": 1}
    assert (
        "with its share of every class where that can be (seed 0): 24 train, 12 val, 0 test" in source.assumptions()[2]
    )


def test_stratified_groups_stay_together(root):
    divided = parts(Folder(root, classes=3, stratify=True, val_fraction=1 / 3, group=r"patient\d+"))
    assert not {i // 3 for i in divided["train"]} & {i // 3 for i in divided["val"]}
    assert divided["val"]


def test_too_few_groups_for_a_stratified_split_are_one_line(root):
    with pytest.raises(InputError, match=r"stratify leaves the split 'val' without an image: 1 units are too few"):
        Folder(root, classes=3, stratify=True, group="images").samples("train")
