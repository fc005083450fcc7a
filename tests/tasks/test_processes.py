"""Processes with some of the images each have the metrics of all images, also one without any."""

import datetime
import os
import subprocess
import sys

import pytest
import torch
import torch.distributed as dist
from helpers.laws import value_and_gradient
from helpers.members import METRICS
from helpers.task_scenes import AGGREGATES, TASKS, scene
from torch.testing import assert_close

from autosegloss import SurrogateLoss
from autosegloss.metrics import FormulaMetric

pytestmark = pytest.mark.slow

PARTS = {"uneven": [slice(0, 3), slice(3, 4)], "one without images": [slice(0, 4), slice(4, 4)]}
CASES = [(task, aggregate, parts) for task in TASKS for aggregate in AGGREGATES for parts in PARTS]
FORMULA = METRICS["miou+bf1"]


def metric_of(task, aggregate, part):
    one = scene(TASKS[task], (4, 6, 7))
    metric = FormulaMetric(FORMULA, one.num_classes, task=task, aggregate=aggregate)
    if len(one.labels[part]):
        metric.update(one.preds[part], one.labels[part])
    return metric


def loss_of(task, part, sync):
    one = scene(TASKS[task], (4, 6, 7))
    loss = SurrogateLoss(FORMULA, task=task, sync_statistics=sync)
    return value_and_gradient(loss, one.logits[part], one.labels[part])


def process(rank, folder):
    torch.set_num_threads(1)
    minute = datetime.timedelta(seconds=60)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2, timeout=minute)
    results = {case: metric_of(case[0], case[1], PARTS[case[2]][rank]).compute() for case in CASES}
    results |= {task: loss_of(task, PARTS["uneven"][rank], sync=True) for task in TASKS}
    torch.save(results, f"{folder}/{rank}.pt")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("processes"))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}  # the helpers of the tests
    with subprocess.Popen([sys.executable, __file__, "1", folder], env=env) as other:
        try:
            process(0, folder)  # here, where a warning is an error
            assert other.wait(timeout=60) == 0
        finally:
            dist.destroy_process_group()
            other.kill()
    return [torch.load(f"{folder}/{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_metrics_are_those_of_all_images(results, case):
    expected = metric_of(case[0], case[1], slice(None)).compute()
    for own in results:
        assert_close(own[case], expected)


@pytest.mark.parametrize("task", TASKS)
def test_synchronised_losses_are_those_of_the_whole_batch(results, task):
    value, gradient = loss_of(task, slice(None), sync=False)
    for part, own in zip(PARTS["uneven"], results, strict=True):
        assert_close(own[task][0], value)
        assert_close(own[task][1], 2 * gradient[part])  # processes average their gradients


if __name__ == "__main__":
    process(int(sys.argv[1]), sys.argv[2])
    dist.destroy_process_group()
