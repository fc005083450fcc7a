"""torch.compile takes a loss whole: the same bits as without, no new graph for new numbers, the same messages."""

import copy
from functools import partialmethod

import pytest
import torch
import torch.distributed as dist
from helpers.laws import batch, value_and_gradient
from helpers.members import METRICS
from helpers.task_scenes import TASKS, drawn_theta, scene, soft
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.testing import assert_close

from autosegloss import InputError, SurrogateLoss
from autosegloss.curves import Linear
from autosegloss.losses import LibraryLoss, Scaled

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # of the compiler
    pytest.mark.usefixtures("no_graphs"),
]


@pytest.fixture
def no_graphs():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def compiled(step, **options):
    """A step in one graph, without the compiler of C++, and the counter of its graphs."""
    counter = CompileCounterWithBackend("aot_eager")
    return torch.compile(step, backend=counter, fullgraph=True, **options), counter


def agree(loss, logits, labels):
    """Value and gradient are those without a compiler, bit for bit."""
    step, _ = compiled(loss)
    assert_close(value_and_gradient(step, logits, labels), value_and_gradient(loss, logits, labels), rtol=0, atol=0)


@pytest.mark.parametrize(
    "name", [name if name in ("miou", "bf1") else pytest.param(name, marks=pytest.mark.slow) for name in METRICS]
)
def test_a_formula_has_the_same_value_and_gradient(name):
    agree(SurrogateLoss(METRICS[name], theta=drawn_theta(METRICS[name])), *batch(num_classes=4))


MULTICLASS, BINARY, MULTILABEL = (scene(TASKS[name]) for name in ("multiclass", "binary", "multilabel"))
CASES = {
    "binary": (BINARY.logits[:, 0], BINARY.labels[:, 0], {"task": "binary"}),
    "soft labels": (MULTILABEL.logits, soft(TASKS["multilabel"], MULTILABEL.labels), {"task": "multilabel"}),
    "half": (MULTICLASS.logits.half(), MULTICLASS.labels, {"curve": Linear(3)}),
    "images": (MULTICLASS.logits, MULTICLASS.labels, {"aggregate": "image", "class_weights": [1, 2, 3], "scale": 2.5}),
    "probabilities": (MULTICLASS.logits.softmax(1), MULTICLASS.labels, {"from_logits": False, "classes": "present"}),
    "volumes": (*batch((1, 3, 6, 7)), {"classes": [1, 2]}),
    "channels last": (batch()[0].contiguous(memory_format=torch.channels_last), batch()[1], {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("formula", ["miou", "bf1"])
@pytest.mark.parametrize(("logits", "labels", "options"), CASES.values(), ids=CASES)
def test_options_and_forms_of_input_have_the_same_value_and_gradient(logits, labels, options, formula):
    agree(SurrogateLoss(formula, **options), logits, labels)


def test_a_training_step_is_one_graph_and_takes_new_thetas_sizes_and_masks():
    net, loss = nn.Conv2d(3, 3, 3, padding=1), SurrogateLoss("miou", theta=[0.3] * 12)
    step, counter = compiled(lambda x, y, valid: 0.5 * loss(net(x), y, valid), dynamic=True)
    for size in (9, 12, 15):
        x, labels = batch((2, size, size + 2), ignored=0)
        valid = labels.roll(1) > 0
        loss.theta_and.copy_(torch.rand(1, 6))
        losses = [one(x, labels, valid) for one in (step, lambda x, y, valid: 0.5 * loss(net(x), y, valid))]
        assert_close(*losses, rtol=0, atol=0)
        assert_close(*(torch.autograd.grad(each, net.parameters()) for each in losses))
    assert counter.frame_count == 1


def test_a_theta_that_the_graph_sets_counts():
    loss, (logits, labels) = SurrogateLoss("miou"), batch()

    def searched(theta):
        loss.theta_and.copy_(theta)
        return loss(logits, labels)

    theta = torch.tensor([[0.1, 0.6, 0.4, 0.2, 0.5, 0.3]])
    value = compiled(searched)[0](theta)
    assert value == searched(theta) != SurrogateLoss("miou")(logits, labels)


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_first_batch_sets_the_scale(wrapped):
    def made():
        return Scaled(LibraryLoss(nn.CrossEntropyLoss), "ce") if wrapped else SurrogateLoss("miou", scale="ce")

    (loss, other), (logits, labels) = (made(), made()), batch()
    step, _ = compiled(lambda x, y: loss(x, y))
    for seed in range(2):
        logits, labels = batch(seed=seed)
        assert_close(value_and_gradient(step, logits, labels), value_and_gradient(other, logits, labels))
    assert_close(loss.scale, other.scale)


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (lambda y: y.where(y != 1, 7), r"labels must lie in \[0, 3\), got \[7\]"),
        (lambda y: y[:, None], r"labels.squeeze\(1\)"),
    ],
)
def test_labels_are_checked_as_without(spoilt, message):
    logits, labels = batch()
    with pytest.raises(InputError, match=message):
        compiled(SurrogateLoss("miou"))[0](logits, spoilt(labels))


def test_a_copy_is_another_loss():
    logits, labels = batch()
    loss = SurrogateLoss("miou", theta=[0.3] * 12)
    other = copy.deepcopy(loss)
    other.theta_or.copy_(torch.linspace(0.2, 0.8, 6))
    for one in (loss, other):
        assert_close(compiled(one)[0](logits, labels), one(logits, labels), rtol=0, atol=0)
    assert loss(logits, labels) != other(logits, labels)


def test_many_losses_of_a_process_share_a_graph():
    logits, labels = batch()
    counter = CompileCounterWithBackend("eager")
    for seed in range(10):
        loss = SurrogateLoss("miou", theta=drawn_theta(METRICS["miou"], seed))
        step = torch.compile(loss, backend=counter, fullgraph=True)
        assert_close(step(logits, labels), loss(logits, labels), rtol=0, atol=0)
    assert counter.frame_count == 1


@pytest.mark.slow
def test_a_theta_with_a_gradient_is_traced():
    logits, labels = batch()
    loss = SurrogateLoss("bf1")
    loss.theta_recall_and.requires_grad_()
    step, _ = compiled(loss)
    gradients = (torch.autograd.grad(one(logits, labels), loss.theta_recall_and)[0] for one in (step, loss))
    assert_close(*gradients)


@pytest.mark.slow
def test_sums_over_processes_are_part_of_it(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    try:
        agree(SurrogateLoss("miou", sync_statistics=True), *batch())
    finally:
        dist.destroy_process_group()


@pytest.mark.slow
def test_train_compiles_the_network(command, monkeypatch):
    counter = CompileCounterWithBackend("aot_eager")
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend=counter))
    out = command("train", "compile=true", "trainer.enable_progress_bar=false")
    assert counter.frame_count > 0
    assert "miou" in out
