"""Every file in conf/data builds a SegmentationData."""

from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from autosegloss.data import SegmentationData

CONFIGS = sorted((Path(__file__).parents[2] / "conf/data").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_it_is_built_with_the_seed_of_the_run(path):
    config = OmegaConf.create({"seed": 7, "data": OmegaConf.load(path)})
    data = instantiate(config.data)
    assert isinstance(data, SegmentationData)
    assert data.seed == 7
    hash(data.source)  # decoded data are cached under it


def test_shapes_yields_a_batch():
    config = OmegaConf.create({"seed": 0, "data": OmegaConf.load(CONFIGS[0].with_name("shapes.yaml"))})
    config.data.source.update(train=8, val=2)
    images, labels = next(iter(instantiate(config.data).train_dataloader()))
    assert (images.shape, labels.shape) == ((8, 3, 64, 64), (8, 64, 64))
