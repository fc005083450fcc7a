"""Images of any number of bands and of more than 8 bits, from the files to the network."""

import numpy as np
import pytest
import torch
from helpers.multiband import MOST, SIZE, Multiband, write
from PIL import Image
from torch.testing import assert_close

from autosegloss.data import Augment, Colours, SegmentationData
from autosegloss.data.check.checks import check_splits
from autosegloss.data.check.picture import picture
from autosegloss.data.datasets.images import ImageReader
from autosegloss.data.disk import DiskSplit
from autosegloss.data.memory import decode
from autosegloss.data.reading import load_sample
from autosegloss.data.transforms import MEAN, STD, as_rgb, denormalise, normalise
from autosegloss.errors import InputError

BANDS = (4, 0, 1, 3)


@pytest.fixture
def values(tmp_path):
    return write(tmp_path, count=4, bands=5)


@pytest.fixture
def source(tmp_path, values):
    return Multiband(str(tmp_path), ImageReader(bands=BANDS, max_value=MOST))


def expected(values: np.ndarray) -> torch.Tensor:
    """The chosen bands of (N, H, W, 5) on the scale 0..255, (N, 4, H, W)."""
    return torch.from_numpy(values[..., BANDS].transpose(0, 3, 1, 2) * (255 / MOST)).float()


def test_three_bands_take_a_mean_of_their_own_and_others_the_average():
    for count in (1, 2, 3, 4, 7):
        images = torch.arange(256.0).repeat(count, 1).view(1, count, 16, 16)
        mean, deviation = (MEAN, STD) if count == 3 else (MEAN.mean(), STD.mean())
        assert_close(normalise(images), (images - mean) / deviation)
        assert_close(normalise(images.byte()), normalise(images))
        assert_close(denormalise(normalise(images)), images)


def test_a_picture_shows_three_bands_or_grey():
    images = torch.tensor([10.4, 20.6, 300, 40]).view(1, 4, 1, 1)
    assert as_rgb(images).flatten().tolist() == [10, 21, 255]
    assert as_rgb(images[:, :2]).flatten().tolist() == [10, 10, 10]
    assert as_rgb(images[0, :1]).shape == (3, 1, 1)


def test_batches_hold_the_chosen_bands(source, values):
    [[images, labels]] = next(iter(SegmentationData(source, size=None, batch_size=4).val_dataloader()))
    assert (images.dtype, labels.shape) == (torch.float32, (4, *SIZE))
    assert_close(denormalise(images), expected(values), atol=1e-3, rtol=0)


def test_memory_and_disk_give_the_same(source, values):
    kept = decode(source, "train", None)
    assert_close(kept.images, expected(values))
    for part, images, labels in DiskSplit(source, "train").stacks(range(4)):
        assert_close((images, labels), (kept.images[part], kept.labels[part]))


@pytest.mark.parametrize("place", [{"size": 24}, {"size": 24, "keep_aspect": True}, {"size": None, "crop": 24}])
def test_bands_are_augmented(source, place):
    batch = next(iter(SegmentationData(source, **place, batch_size=2, augment=Augment()).train_dataloader()))
    assert (batch[0].shape, batch[1].shape) == ((2, 4, 24, 24), (2, 24, 24))


def test_a_resized_image_is_not_rounded_to_8_bits(source):
    [[images, _]] = next(iter(SegmentationData(source, size=8, batch_size=4).val_dataloader()))
    scale = denormalise(images)
    assert (scale - scale.round()).abs().mean() > 0.2


def test_files_of_8_and_of_16_bits_share_a_data_set(tmp_path, source, values):
    Image.fromarray(np.full((*SIZE, 3), 7, np.uint8)).save(tmp_path / "0.tif")
    mixed = Multiband(str(tmp_path), ImageReader(bands=(0, 1, 2), max_value=MOST))
    images = decode(mixed, "train", None).images
    assert_close(images[0], torch.full((3, *SIZE), 7.0))
    assert_close(images[1], torch.from_numpy(values[1][..., :3].transpose(2, 0, 1) * (255 / MOST)).float())


def test_colours_are_for_three_bands(source):
    SegmentationData(source, size=None, batch_size=4, augment=Augment(colours=Colours(probability=0)))
    with pytest.raises(InputError, match=r"images have 4 band\(s\): set data.augment.colours=null"):
        SegmentationData(source, size=None, batch_size=4, augment=Augment(colours=Colours()))


def test_a_source_that_states_another_number_of_bands(source):
    class Wrong(Multiband):
        channels = 3

    wrong = Wrong(source.root, source.read)
    with pytest.raises(InputError, match=r"0.tif: expected an image of 3 bands, got 4: `channels` of Wrong must state"):
        load_sample(wrong.samples("train")[0], wrong)


def test_the_check_of_a_data_set_draws_the_first_bands(source, values):
    reports = list(check_splits(source))
    assert not any(sample.fault for report in reports for sample in report.samples)
    panel = picture(reports, source).axes[0].images[0].get_array()
    shown = as_rgb(expected(values)).permute(0, 2, 3, 1).numpy()
    assert any(np.array_equal(panel, image) for image in shown)


def test_images_are_judged_at_their_own_size(source):
    data = SegmentationData(source, size=8, batch_size=4, score_at="masks")
    [[images, labels]] = next(iter(data.val_dataloader()))
    assert (images.shape, labels.shape) == ((4, 4, 8, 8), (4, *SIZE))
