"""Pretrained weights: from the disk, from a host that answers, or one line why they cannot be had."""

import socket
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
import torchvision
from helpers.networks import NAMES, RESNET, built, small
from huggingface_hub import constants
from safetensors.torch import save_file
from torch import nn
from torch.testing import assert_close

from autosegloss.errors import InputError
from autosegloss.training import hub
from autosegloss.training.networks import build_network

pytestmark = pytest.mark.slow


@pytest.fixture
def silent_hub(monkeypatch, tmp_path):
    """No host answers, and nothing is on the disk yet; gives the folder of the disk."""
    monkeypatch.setattr(hub, "hub_answers", lambda: False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def keep(folder, repository: str, revision: str, network: nn.Module) -> None:
    """The weights of a network as the hub's library leaves them on the disk."""
    home = folder / f"models--{repository.replace('/', '--')}"
    snapshot = home / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    save_file(network.state_dict(), snapshot / "model.safetensors")
    (home / "refs").mkdir()
    (home / "refs/main").write_text(revision)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "tiny"])
def test_weights_that_cannot_be_fetched_end_in_one_line_at_once(name, silent_hub, capfd):
    start = time.perf_counter()
    with pytest.raises(InputError, match=r"^the encoder weights 'imagenet' of .* does not answer.*=null$") as told:
        small(name, weights="imagenet")
    assert time.perf_counter() - start < 5
    assert "\n" not in str(told.value)
    assert capfd.readouterr().err == ""
    assert not constants.HF_HUB_OFFLINE


def test_weights_on_the_disk_need_no_host(silent_hub):
    settings = smp.encoders.encoders["resnet18"]["pretrained_settings"]["imagenet"]
    torch.manual_seed(5)
    resnet, hrnet = torchvision.models.resnet18(), timm.create_model("hrnet_w18_small")
    keep(silent_hub, settings["repo_id"], settings["revision"], resnet)
    keep(silent_hub, f"timm/{hrnet.default_cfg['architecture']}.{hrnet.default_cfg['tag']}", "0" * 40, hrnet)
    for name, whole in {"pspnet_r101": resnet, "hrnetv2_w48": hrnet}.items():
        loaded, expected = small(name, weights="imagenet").encoder.state_dict(), whole.state_dict()
        for key, value in loaded.items():
            assert_close(value, expected[key])


def test_training_from_scratch_asks_no_host(monkeypatch):
    monkeypatch.setattr(hub, "hub_answers", lambda: pytest.fail("the host was asked"))
    for name in NAMES:
        small(name)


def test_a_host_that_keeps_silent_is_given_up_soon(monkeypatch):
    monkeypatch.setattr(hub, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes the call and never speaks
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        start = time.perf_counter()
        assert not hub.hub_answers.__wrapped__()
        assert time.perf_counter() - start < 3


def test_a_host_that_answers_anything_is_there(monkeypatch):
    class Refusal(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_error(403)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Refusal) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        assert hub.hub_answers.__wrapped__()
        server.shutdown()


@pytest.mark.parametrize(
    ("name", "overrides", "weights", "message"),
    [
        ("deeplabv3plus_r50", ["network.encoder_name=resnet19"], "imagenet", "unknown encoder 'resnet19'.*resnet1"),
        ("deeplabv3plus_r50", ["network.encoder_name=resnet19"], "null", "unknown encoder 'resnet19'.*resnet1"),
        ("deeplabv3plus_r50", ["network.encoder_name=tu-resnet19"], "null", r"Unknown model \(resnet19\)"),
        ("deeplabv3plus_r50", ["network.encoder_output_stride=32"], "imagenet", "output stride 8 or 16, got 32"),
        ("deeplabv3plus_r50", ["network.encoder_output_stride=32"], "null", "output stride 8 or 16, got 32"),
        ("deeplabv3plus_r50", [], "image", "encoder resnet50 has no weights 'image'"),
        ("pspnet_r101", ["network.output_stride=4"], "null", "16 or 8, got 4"),
        ("pspnet_r101", ["+network.depth=4"], "null", "network: TypeError: .*depth"),
        ("hrnetv2_w48", [RESNET], "null", "unknown encoder 'resnet18'.*hrnet_w18"),
        ("hrnetv2_w48", [], "ssld", "encoder_weights of hrnet_w48 are 'imagenet' or null, got 'ssld'"),
    ],
)
def test_options_that_no_network_has_are_told_as_such(name, overrides, weights, message, silent_hub):
    with pytest.raises(InputError, match=message) as told:
        built(name, *overrides, weights=weights)
    assert "\n" not in str(told.value)
    assert "cannot be had" not in str(told.value)


def test_an_error_that_is_about_neither_passes_as_it_is():
    def broken(**_):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory") as raised:
        build_network(broken, classes=2, encoder_weights=None)
    assert raised.value.__cause__ is None
