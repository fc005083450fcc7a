"""Two processes with a part of the batch each have the loss, gradient and metrics of the whole; one alone, an error."""

import datetime
import re
import subprocess
import sys
from contextlib import ExitStack

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.testing import assert_close

from autosegloss import SurrogateLoss, processes
from autosegloss.metrics import FormulaMetric, segmentation_metrics

pytestmark = pytest.mark.slow

WORLD, CLASSES = 2, 3
LOSSES = ("macc", "miou", "fwiou", "biou", "bf1")


def images():
    return torch.randn(4, 2, 10, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def uneven_labels():
    """Class 2 is in the last image only, and only the first image has (many) ignored pixels."""
    labels = torch.zeros(4, 10, 12, dtype=torch.long)
    labels[:, 2:6, 3:9], labels[3, 6:, :5], labels[0, :, 4:] = 1, 2, 255
    return labels


def half_ignored_labels():
    """The last image, all that the second process sees, is ignored."""
    labels = uneven_labels().where(torch.arange(4)[:, None, None] < 3, 255)
    return labels.index_fill(0, torch.tensor([2]), 2)


CASES = {"uneven": uneven_labels, "half_ignored": half_ignored_labels}
PARTS = [slice(0, 3), slice(3, 4)]  # unequal batches, too


def network():
    net = nn.Conv2d(2, CLASSES, 1, dtype=torch.float64)
    with torch.no_grad():
        net.weight.copy_(torch.linspace(-1, 1, net.weight.numel()).view_as(net.weight))
        net.bias.zero_()
    return net


def loss_and_gradient(net, x, labels, formula, sync):
    theta = {"and": [0.1, 0.6, 0.4, 0.2, 0.5, 0.3]} if formula != "bf1" else None
    net.zero_grad()
    value = SurrogateLoss(formula, theta=theta, sync_statistics=sync)(net(x), labels)
    value.backward()
    return value.item(), [p.grad.clone() for p in net.parameters()]


def meet(rank, folder):
    torch.set_num_threads(1)
    minute, meeting = datetime.timedelta(seconds=60), f"file://{folder}/meeting"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=WORLD, timeout=minute)


def process(rank, folder):
    """One of two: losses and gradients with and without synchronised statistics, and metrics, to a file."""
    meet(rank, folder)
    x, net, results = images()[PARTS[rank]], DistributedDataParallel(network()), {}
    for case, make in CASES.items():
        labels = make()[PARTS[rank]]
        for formula in LOSSES:
            for sync in (True, False):
                results[case, formula, sync] = loss_and_gradient(net, x, labels, formula, sync)
        metrics, alone = segmentation_metrics(CLASSES, confusion=True), FormulaMetric("bf1", CLASSES)
        for metric in (metrics, alone):
            metric.update(net(x).detach(), labels)
        results[case, "metrics"] = {**metrics.compute(), "alone": alone.compute()}
        results[case, "after"] = alone.true.tolist()  # compute() leaves each process with its own counts
    torch.save(results, f"{folder}/{rank}.pt")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("processes"))
    with subprocess.Popen([sys.executable, __file__, "process", "1", folder]) as other:
        try:
            process(0, folder)  # here, where a warning is an error
            assert other.wait(timeout=60) == 0
        finally:
            dist.destroy_process_group()
            other.kill()
    return [torch.load(f"{folder}/{rank}.pt") for rank in range(WORLD)]


@pytest.mark.parametrize("formula", LOSSES)
@pytest.mark.parametrize("case", CASES)
def test_synchronised_processes_have_the_loss_and_gradient_of_the_whole_batch(results, case, formula):
    value, gradient = loss_and_gradient(network(), images(), CASES[case](), formula, sync=True)
    for rank in range(WORLD):
        assert_close(results[rank][case, formula, True], (value, gradient))


@pytest.mark.parametrize("formula", LOSSES)
def test_without_synchronisation_they_have_another(results, formula):
    value, gradient = loss_and_gradient(network(), images(), uneven_labels(), formula, sync=False)
    values = [results[rank]["uneven", formula, False][0] for rank in range(WORLD)]
    assert abs(sum(values) / WORLD - value) > 1e-3
    assert not torch.allclose(results[0]["uneven", formula, False][1][0], gradient[0], rtol=1e-2)


@pytest.mark.parametrize("case", CASES)
def test_metrics_are_those_of_the_whole_data_set(results, case):
    metrics, logits, labels = segmentation_metrics(CLASSES, confusion=True), network()(images()).detach(), CASES[case]()
    metrics.update(logits, labels)
    expected = metrics.compute()
    for rank in range(WORLD):
        assert_close(results[rank][case, "metrics"], {**expected, "alone": expected["bf1"]}, rtol=0, atol=0)
    total = [sum(counts) for counts in zip(*(r[case, "after"] for r in results), strict=True)]
    assert total == metrics["bf1"].true.tolist()
    assert results[0][case, "after"] != total or case == "half_ignored"


def process_alone(rank, folder):
    """The first process calls the loss alone and prints its error; the other waits for the end of its input."""
    processes.SYNC_TIMEOUT = datetime.timedelta(seconds=1)
    meet(rank, folder)
    if rank == 0:
        try:
            SurrogateLoss("miou", sync_statistics=True)(network()(images()), uneven_labels())
        except RuntimeError as error:
            print(error, flush=True)
    else:
        sys.stdin.read()


def test_a_process_that_calls_the_loss_alone_ends_in_an_error_after_a_time(tmp_path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, __file__, "process_alone"]
    with ExitStack() as stack:
        alone, other = (
            stack.enter_context(subprocess.Popen([*command, str(rank), str(tmp_path)], **pipes))
            for rank in range(WORLD)
        )
        told = alone.stdout.readline()
        other.stdin.close()  # it ends, and so can the first, whose sum still waits for it
        assert alone.wait(timeout=50) == other.wait(timeout=50) == 0
    assert re.fullmatch(
        r"sync_statistics: the sum over the processes failed or took more than 0:00:01: each process must call the "
        r"loss equally often; .* use sync_statistics=False\n",
        told,
    )


def test_one_process_needs_no_group():
    value = loss_and_gradient(network(), images(), uneven_labels(), "miou", sync=True)
    assert_close(value, loss_and_gradient(network(), images(), uneven_labels(), "miou", sync=False))


if __name__ == "__main__":
    globals()[sys.argv[1]](int(sys.argv[2]), sys.argv[3])
    dist.destroy_process_group()
