"""A network as CUDA graphs: refused where there is none, and no other training where there is one."""

import pytest
import torch
from conftest import TINY
from helpers.members import slow

from autosegloss.cli.configs import compose_training
from autosegloss.training.graphs import GraphNetwork
from autosegloss.training.run import train

ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
SHORT = [*TINY, "trainer.max_steps=4", "logger=none", "trainer.enable_progress_bar=false"]


def weights(folder, *overrides):
    train(compose_training([*SHORT, *overrides]), folder)
    return torch.load(folder / "weights.pt", weights_only=True)


@pytest.fixture
def called(monkeypatch):
    """The shapes that a stand-in for torch's maker of graphs gets: it makes its passes, as that does, but no graph."""
    shapes = []

    def make(module, inputs):
        assert not module._forward_hooks
        shapes.append(tuple(inputs[0].shape))
        with torch.random.fork_rng():
            for _ in range(3):
                torch.autograd.grad(module(*inputs).sum(), list(module.parameters()))
        return module

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", make)
    monkeypatch.setattr(GraphNetwork, "on_train_start", lambda *_: None)
    return shapes


def test_making_the_graphs_changes_no_training(tmp_path, called):
    plain = weights(tmp_path / "plain")
    assert called == []
    torch.testing.assert_close(weights(tmp_path / "graph", "callbacks=cuda_graph"), plain, rtol=0, atol=0)
    assert called == [(4, 3, 32, 32)]  # once, not at every step


def test_a_network_that_cannot_be_captured_is_one_line(command, called, monkeypatch):
    def refuse(*_):
        raise RuntimeError("operation not permitted\nwhen stream is capturing")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", refuse)
    with pytest.raises(
        SystemExit, match=r"cannot be a CUDA graph \(operation not permitted when stream is capturing\)"
    ):
        command("train", "callbacks=cuda_graph")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=0", "a CUDA graph is of one GPU, this training is on the cpu: leave out callbacks=cuda_graph"),
        *slow(
            [
                ("auxiliary=fcn", "a CUDA graph gives the logits alone: leave out callbacks=cuda_graph, or auxiliary"),
                ("trainer.accumulate_grad_batches=2", "a CUDA graph does not accumulate gradients: leave out"),
                (
                    "freeze_encoder=1",
                    "a CUDA graph does not learn to stop, or to begin: leave out callbacks=cuda_graph",
                ),
            ]
        ),
    ],
)
def test_what_graphs_cannot_do_is_one_line(command, override, message):
    with pytest.raises(SystemExit, match=message):
        command("train", "callbacks=cuda_graph", override)


@ON_GPU
def test_graphs_train_as_their_network_does(tmp_path):
    own = ["trainer.accelerator=gpu", "+network.aspp_dropout=0"]  # a graph draws other numbers for dropout
    plain, graph = weights(tmp_path / "plain", *own), weights(tmp_path / "graph", *own, "callbacks=cuda_graph")
    torch.testing.assert_close(graph, plain, rtol=1e-2, atol=1e-3)
