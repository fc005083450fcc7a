"""Every file in conf/data builds a SegmentationData."""

import pytest
from helpers.members import CONF
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from autosegloss.data import SegmentationData

NAMES = sorted(path.stem for path in (CONF / "data").glob("*.yaml"))


def data_of(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return instantiate(compose("train", list(overrides)).data)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_built_with_the_seed_of_the_run_and_its_folder_is_named_in_one_place(name):
    root = [] if name == "shapes" else ["data.root=/somewhere"]
    data = data_of(f"data={name}", "seed=7", *root)
    assert isinstance(data, SegmentationData)
    assert data.seed == 7
    hash(data.source)  # decoded data are cached under it
    assert not root or data.source.root == "/somewhere"


def test_the_folder_of_a_source_may_be_another():
    assert data_of("data=voc", "data.root=/somewhere", "data.source.root=/else").source.root == "/else"


@pytest.mark.parametrize("name", ["voc", "cityscapes"])
def test_at_full_size_windows_are_cut_out_and_whole_images_judged(name):
    data = data_of(f"data={name}_full")
    assert data.size is None
    assert data.crop in [(512, 512), (512, 1024)]
    assert data.eval_batch_size == 1


def test_shapes_yields_a_batch():
    data = data_of("data=shapes", "data.source.train=8", "data.source.val=2")
    images, labels = next(iter(data.train_dataloader()))
    assert (images.shape, labels.shape) == ((8, 3, 64, 64), (8, 64, 64))
