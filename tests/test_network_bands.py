"""Networks for images of any number of bands."""

import pytest
import torch
from helpers.multiband import MOST, write
from helpers.networks import NAMES, built, small
from torch import nn

from autosegloss.errors import InputError
from autosegloss.training.networks import build_network


@pytest.mark.slow
@pytest.mark.parametrize("bands", [1, 4])
@pytest.mark.parametrize("name", NAMES)
def test_a_network_takes_images_of_any_number_of_bands(name, bands):
    network = small(name, bands=bands).eval()
    assert network(torch.zeros(1, bands, 64, 64)).shape == (1, 5, 64, 64)


def test_a_network_of_three_bands_need_not_know_of_others():
    def own(classes: int, encoder_weights: str | None):
        return nn.Conv2d(3, classes, 1)

    assert build_network(own, classes=2, encoder_weights=None).weight.shape == (2, 3, 1, 1)
    with pytest.raises(InputError, match=r"images of 3 bands only, the data have 4: choose 3 with data.source.bands="):
        build_network(own, classes=2, encoder_weights=None, bands=4)


def test_the_data_tell_the_number_of_bands():
    assert built("tiny", "+network.in_channels=3").training
    with pytest.raises(InputError, match=r"network.in_channels=4, but images have 3 bands: leave it out"):
        built("tiny", "+network.in_channels=4")


@pytest.mark.slow
def test_a_network_trains_on_four_bands_of_five(command, tmp_path):
    root = tmp_path / "tiles"
    root.mkdir()
    write(root, count=4, bands=5)
    data = ["data=folder", f"data.root={root}", "data.source.images='*.tif'", "data.source.masks='{stem}.png'"]
    data += ["data.source.classes=2", "data.source.bands=[4,0,1,3]", f"data.source.max_value={MOST}"]
    small = [
        "data.source.val_fraction=0.5",
        "data.size=32",
        "data.batch_size=2",
        "network.decoder_channels=16",
        "trainer.max_steps=2",
    ]
    run = ["trainer.accelerator=cpu", "hydra.run.dir=run"]
    command("train", *data, *small, *run, tiny=False)
    assert next(iter(torch.load("run/weights.pt").values())).shape[1] == 4  # of the first convolution
    command("train", *data, *small, *run, "init_weights=run/weights.pt", "hydra.run.dir=again", tiny=False)
    with pytest.raises(SystemExit, match=r"error: data.augment.colours varies red, green and blue"):
        command("train", *data, *small, *run, "data.augment.colours.probability=0.5", tiny=False)
