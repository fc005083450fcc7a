"""torchmetrics' own `MetricTester` over ours: clone, pickle, forward, half precision, two processes.

It is in torchmetrics' repository, not in its package: TORCHMETRICS_TESTS names the folder `tests` of a clone, and it
needs `pip install cachier`.
"""

import os
from functools import partial

import pytest
import torch
from helpers.members import METRICS, every_metric
from helpers.torch_references import by_definition, counted

from autosegloss.metrics import ConfusionMatrix, FormulaMetric

FOLDER = os.environ.get("TORCHMETRICS_TESTS", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER, reason="TORCHMETRICS_TESTS names no clone of torchmetrics"),
    pytest.mark.filterwarnings("default"),  # of what it imports
]
CLASSES = 3


@pytest.fixture(scope="module")
def tester(tmp_path_factory):
    """A MetricTester, and two processes for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_REFERENCE_CACHE", str(tmp_path_factory.mktemp("references")))
        patch.syspath_prepend(FOLDER)
        from unittests import NUM_PROCESSES, setup_ddp
        from unittests._helpers.testers import MetricTester

        with torch.multiprocessing.get_context("spawn").Pool(NUM_PROCESSES) as pool:
            pool.starmap(setup_ddp, [(rank, NUM_PROCESSES) for rank in range(NUM_PROCESSES)])
            patch.setattr(pytest, "pool", pool, raising=False)
            yield MetricTester()


def scenes(seed):
    """Four batches of two images: predicted classes, and labels of which some are ignored; other ones for each seed."""
    random = torch.Generator().manual_seed(seed)
    preds, labels = torch.randint(CLASSES, (2, 4, 2, 16, 18), generator=random)
    labels[..., :9] = preds[..., :9] = 1
    return preds, labels.masked_fill(torch.rand(labels.shape, generator=random) < 0.1, 255)


def run(tester, kind, scored, **options):
    preds, labels = scenes(len(METRICS) if kind is ConfusionMatrix else [*METRICS].index(options["formula"].name))
    arguments = {"num_classes": CLASSES, **options}
    for processes in (False, True):
        for each_step in (False, True):
            tester.run_class_metric_test(
                processes, preds, labels, kind, scored, each_step, arguments, check_scriptable=False, atol=1e-6
            )
    logits = torch.randn(4, 2, CLASSES, 16, 18)
    tester.run_precision_test_cpu(logits, labels, kind, metric_args=arguments)
    tester.run_differentiability_test(logits, labels, kind, metric_args=arguments)


@every_metric
def test_metrics(tester, formula):
    formula = METRICS[formula.name] if formula.name != "biou_cheng" else type(formula)(width=5)
    run(tester, FormulaMetric, partial(by_definition, formula.name), formula=formula)


def test_the_confusion_matrix(tester):
    run(tester, ConfusionMatrix, counted)
