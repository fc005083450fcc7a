"""CamVid: its layout in miniature, and the real thing where there is one."""

import os

import pytest
import torch

from autosegloss.data import CamVid, SegmentationData
from autosegloss.errors import InputError


@pytest.fixture
def miniature(tmp_path, files):
    write_image, write_mask = files
    for split in ("train", "val"):
        for i, suffix in ((1, "png"), (2, "jpg"), (10, "png")):
            write_image(tmp_path / split / f"seq_{i}.{suffix}", value=i)
            write_mask(tmp_path / f"{split}annot" / f"seq_{i}.png", values=(0, 10, 11))
    return tmp_path


def test_frames_are_in_order_and_may_be_png_or_jpg(miniature):
    names = [os.path.basename(sample.name) for sample in CamVid(miniature).samples("train")]
    assert names == ["seq_1.png", "seq_2.jpg", "seq_10.png"]


def test_void_is_ignored(miniature):
    _, label = CamVid(miniature).samples("val")[0].load()
    assert label.unique().tolist() == [0, 10, 255]


def test_a_missing_split_is_empty(miniature):
    assert CamVid(miniature).samples("test") == []


def test_the_root_comes_from_the_environment(miniature, monkeypatch):
    monkeypatch.setenv("CAMVID_ROOT", str(miniature))
    assert len(CamVid().samples("train")) == 3


def test_no_root(monkeypatch):
    monkeypatch.delenv("CAMVID_ROOT", raising=False)
    with pytest.raises(InputError, match=r"set data.root=ROOT; expected .*CAMVID_ROOT=ROOT"):
        CamVid().samples("train")


def test_another_folder(tmp_path):
    with pytest.raises(InputError, match="holds no train/: expected ROOT/"):
        CamVid(tmp_path).samples("val")


@pytest.mark.slow
@pytest.mark.skipif("CAMVID_ROOT" not in os.environ, reason="set CAMVID_ROOT to a CamVid folder to run this")
def test_the_real_data_set():
    source = CamVid()
    assert [len(source.samples(split)) for split in ("train", "val", "test")] == [367, 101, 233]
    data = SegmentationData(source, size=(48, 64), batch_size=8, eval_batch_size=101)
    ((images, labels),) = next(iter(data.val_dataloader()))
    assert (images.shape, labels.shape) == ((101, 3, 48, 64), (101, 360, 480))
    assert set(labels.unique().tolist()) == {*range(11), 255}
    shares = torch.bincount(labels[labels < 11], minlength=11) / (labels < 11).sum()
    assert shares[3] > 0.15  # a road in front of a car
