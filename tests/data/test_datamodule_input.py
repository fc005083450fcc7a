"""SegmentationData: settings and data sets that it refuses, each with one clear message."""

import pytest

from autosegloss.data import Sample, SegmentationData, Shapes
from autosegloss.errors import InputError


def make(**settings):
    """23 training and 5 validation images in batches of 4."""
    return SegmentationData(
        **{"source": Shapes(train=23, val=5, test=0, size=16), "size": None, "batch_size": 4, **settings}
    )


def test_no_training_batch():
    with pytest.raises(InputError, match=r"23 training samples do not fill one batch of 24: set data.batch_size=23"):
        make(batch_size=24).train_dataloader()


class Undecodable(Shapes):
    """A split has samples, but none of them loads."""

    def samples(self, split):
        return [Sample(sample.name, lambda: pytest.fail("was decoded")) for sample in super().samples(split)]


def test_too_few_samples_are_told_before_anything_is_decoded():
    data = {"source": Undecodable(train=23, val=5, test=1, size=16)}
    make(**data, batch_size=11).check(devices=2)
    make(**data, batch_size=11).check(devices=1, test=True)
    with pytest.raises(InputError, match=r"23 training .* batch of 12 on each of 2 devices: set data.batch_size=11"):
        make(**data, batch_size=12).check(devices=2)
    for settings in ({"test": True, "devices": 2}, {"devices": 6}):
        with pytest.raises(InputError, match=r"^[15] samples are too few for [26] devices, each of which needs 1: set"):
            make(**data, batch_size=2).check(**settings)
    with pytest.raises(InputError, match=r"3 samples are too few for 4 devices"):
        make(**data, batch_size=2, holdout=3).check(devices=4)
    with pytest.raises(InputError, match=r"no 'val' split: set data.holdout=0.2"):
        make(source=Shapes(train=8, val=0, size=16)).check()


def test_no_validation_split():
    with pytest.raises(InputError, match=r"no 'val' split: set data.holdout=0.2"):
        make(source=Shapes(train=8, val=0, size=16)).val_dataloader()


def test_no_test_split():
    assert not make().has_test
    assert make(source=Shapes(train=8, test=2, size=16)).has_test
    with pytest.raises(InputError, match="no 'test' split"):
        make().test_dataloader()


@pytest.mark.parametrize("size", [0, 3.5, True, "8", "88", [8], [8, 8, 3], [8, 0.5], -4])
def test_an_invalid_size(size):
    with pytest.raises(InputError, match=r"data.size must be H, \[H,W\]"):
        make(size=size)


def test_an_unknown_size_to_judge_at():
    with pytest.raises(InputError, match=r"unknown data.score_at 'mask': choose one of masks, input"):
        make(score_at="mask")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("batch_size", value) for value in (0, 1.5, 4.0, "4", None, True)),
        ("eval_batch_size", 2.5),
        ("eval_batch_size", 0),
        ("num_workers", -1),
        ("num_workers", 0.5),
        ("block", 0),
        ("block", 2.0),
        ("seed", -1),
        ("holdout_seed", -1),
    ],
)
def test_a_setting_must_be_a_whole_number(name, value):
    with pytest.raises(InputError, match=rf"data\.{name}: expected an integer of [01] or more, got {value!r}$"):
        make(**{name: value})
