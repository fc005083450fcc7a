"""The exact reading as torchmetrics metrics: counts exact over batches, groups, merges and casts."""

import copy
import pickle

import pytest
import torch
from helpers.laws import IGNORE, exact_score, scenes
from helpers.members import METRICS, every_metric
from helpers.references import reference
from hypothesis import given, settings
from torch.testing import assert_close
from torchmetrics import MetricCollection

from autosegloss import formulas, metrics
from autosegloss.formulas import PAPER, WeightedSum
from autosegloss.metrics import FormulaMetric, segmentation_metrics

NAMED = {
    "gacc": metrics.GlobalAccuracy,
    "macc": metrics.MeanAccuracy,
    "miou": metrics.MeanIoU,
    "fwiou": metrics.FrequencyWeightedIoU,
    "biou": metrics.BoundaryIoU,
    "bf1": metrics.BoundaryF1,
}


def batches(count=3, num_classes=3, size=16, seed=0):
    """(preds, labels) of `count` batches: noise first (its band is the whole image), then large regions."""
    rng = torch.Generator().manual_seed(seed)
    for i in range(count):
        labels, preds = torch.randint(num_classes, (2, 2, size, size), generator=rng)
        if i:
            labels[..., : size - 2], preds[..., : size - 4] = 0, 0
            labels[..., :2, :3] = IGNORE
        yield preds, labels


# The six metrics together


def test_the_collection_holds_the_six_metrics_of_the_paper():
    together = segmentation_metrics(num_classes=3)
    assert isinstance(together, MetricCollection)
    assert set(together.keys()) == set(PAPER) <= set(METRICS)
    for batch in batches():
        together.update(*batch)
    values = together.compute()
    assert set(values) == set(PAPER)
    assert all(value.dtype == torch.float32 and 0 <= value <= 1 for value in values.values())


@pytest.mark.parametrize("per_class", [False, True])
def test_formulas_that_keep_the_same_sums_share_them_and_no_others_do(per_class):
    """After the first batch biou has the sums of miou, its band being all there is; they must not be tied."""
    together = segmentation_metrics(num_classes=3, per_class=per_class)
    alone = {name: FormulaMetric(name, 3, per_class=per_class) for name in PAPER}
    for i, (preds, labels) in enumerate(batches()):
        together.update(preds, labels)
        for metric in alone.values():
            metric.update(preds, labels)
        if i == 0:
            assert alone["biou"].metric_state["union"].equal(alone["miou"].metric_state["union"])
        assert_close(together.compute(), {name: metric.compute() for name, metric in alone.items()})
    groups = {frozenset(group) for group in together.compute_groups.values()}
    assert groups == {frozenset(g) for g in ({"gacc", "macc"}, {"miou", "fwiou"}, {"biou"}, {"bf1"})}
    assert not torch.isclose(alone["biou"].compute(), alone["miou"].compute()).all()


def test_a_collection_of_others():
    chosen = segmentation_metrics(3, None, ["miou", formulas.BoundaryIoU(width=1)])
    for preds, labels in batches(count=1):
        chosen.update(preds, labels)
        alone = FormulaMetric(formulas.BoundaryIoU(width=1), 3, None)
        alone.update(preds, labels)
    assert set(chosen.keys()) == {"miou", "biou"}
    assert_close(chosen.compute()["biou"], alone.compute())


def test_a_collection_can_be_reset_cloned_and_pickled():
    together = segmentation_metrics(3)
    together.update(*next(batches()))
    values = together.compute()
    for other in (together.clone(), pickle.loads(pickle.dumps(together))):
        assert_close(other.compute(), values)
    together.reset()
    together.update(*next(batches()))
    assert_close(together.compute(), values)


# Single metrics


@every_metric
def test_logits_and_predictions_give_the_same(formula):
    rng = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(2, 3, 9, 9, generator=rng), torch.randint(3, (2, 9, 9), generator=rng)
    expected = exact_score(formula, logits.argmax(1), labels, 3)
    for preds in (logits, logits.softmax(1), logits.double(), logits.argmax(1).to(torch.uint8)):
        assert_close(exact_score(formula, preds, labels, 3), expected)


@every_metric
def test_several_batches_are_one_data_set(formula):
    data = list(batches())
    preds, labels = (torch.cat(x) for x in zip(*data, strict=True))
    metric = FormulaMetric(formula, 3)
    of_batches = [metric(*batch) for batch in data]  # forward: the value of this batch
    assert_close(metric.compute(), exact_score(formula, preds, labels, 3))
    for value, batch in zip(of_batches, data, strict=True):
        assert_close(value, exact_score(formula, *batch, 3))


@every_metric
def test_counts_are_exact_however_many(formula):
    """In int64 10^10 + 1 pixels are not 10^10, as they would be in float32."""
    metric = FormulaMetric(formula, 3)
    preds, labels = next(batches())
    metric.update(preds, labels)
    once = {name: value.clone() for name, value in metric.metric_state.items()}
    for name, value in metric.metric_state.items():
        assert value.dtype == torch.int64
        setattr(metric, name, value + 10**10)
    metric.update(preds, labels)
    for name, value in metric.metric_state.items():
        assert value.equal(10**10 + 2 * once[name])


def test_the_score_of_huge_counts_keeps_its_digits():
    """The score divides in float64, where 1 - 10^-10 is not 1."""
    sums = {
        "intersection": torch.tensor([10**10 - 1]),
        "union": torch.tensor([10**10]),
        "true": torch.tensor([10**10]),
    }
    assert_close(1 - formulas.MeanIoU().score(sums), torch.tensor(1e-10, dtype=torch.float64), rtol=1e-5, atol=0)


@every_metric
@settings(max_examples=20, deadline=None)
@given(scene=scenes())
def test_class_scores_average_to_the_score(formula, scene):
    labels, preds, num_classes = scene
    metric = FormulaMetric(formula, num_classes, per_class=True)
    metric.update(preds, labels)
    scores = metric.compute()
    assert scores.shape == (num_classes,)
    average = exact_score(formula, preds, labels, num_classes)
    if isinstance(formula, WeightedSum):  # its terms average over classes of their own
        assert_close(scores.isnan().all(), average.isnan())
    elif formula.name in ("gacc", "fwiou"):  # weighted by frequency
        weights = metric.true / metric.true.sum()
        assert_close((weights * scores.nan_to_num(0)).sum(), average, equal_nan=True)
    else:
        assert_close(scores.nanmean(), average, equal_nan=True)


def test_undefined_classes_are_nan():
    labels = torch.tensor([[[0, 0, 1, 1]] * 4])
    preds = torch.tensor(
        [[[0, 2, 1, 1]] * 4]
    )  # class 2 is predicted but absent; class 3 is neither predicted nor present
    scores = {}
    for name in PAPER:
        metric = FormulaMetric(name, 4, per_class=True)
        metric.update(preds, labels)
        scores[name] = metric.compute().isnan().tolist()
    of_truth, of_union = [False, False, True, True], [False, False, False, True]
    assert scores["macc"] == scores["gacc"] == scores["bf1"] == of_truth
    assert scores["miou"] == scores["fwiou"] == scores["biou"] == of_union


@every_metric
@pytest.mark.parametrize("per_class", [False, True])
def test_nothing_defined_is_nan(formula, per_class):
    metric = FormulaMetric(formula, 3, per_class=per_class)
    metric.update(torch.zeros(1, 4, 4, dtype=torch.long), torch.full((1, 4, 4), IGNORE))
    assert metric.compute().isnan().all()


@every_metric
def test_reset_forgets(formula):
    metric = FormulaMetric(formula, 3)
    first, second = batches(2)
    metric.update(*first)
    metric.reset()
    metric.update(*second)
    assert_close(metric.compute(), exact_score(formula, *second, 3))


@every_metric
def test_merging_two_halves_is_the_whole(formula):
    data = list(batches(4))
    left, right, whole = (FormulaMetric(formula, 3) for _ in range(3))
    for i, batch in enumerate(data):
        (left if i < 1 else right).update(*batch)
        whole.update(*batch)
    left.merge_state(right)
    assert_close(left.metric_state, whole.metric_state, rtol=0, atol=0)
    assert_close(left.compute(), whole.compute(), rtol=0, atol=0)


@every_metric
def test_moves_casts_and_copies_keep_the_counts(formula):
    metric = FormulaMetric(formula, 3)
    metric.update(*next(batches()))
    counts = copy.deepcopy(metric.metric_state)
    for moved in (
        metric.to("cpu"),
        metric.float(),
        metric.half(),
        metric.double(),
        copy.deepcopy(metric),
        pickle.loads(pickle.dumps(metric)),
        torch.nn.ModuleList([metric]).half()[0],
    ):
        assert_close(moved.metric_state, counts, rtol=0, atol=0)
        assert_close(moved.compute(), metric.compute())


@pytest.mark.parametrize("name", NAMED)
def test_the_named_classes_are_the_formulas(name):
    metric = NAMED[name](num_classes=3, ignore_index=None, per_class=True, sync_on_compute=False)
    assert (metric.formula, metric.num_classes, metric.ignore_index) == (METRICS[name], 3, None)
    assert metric.per_class
    assert not metric.sync_on_compute
    assert NAMED[name](3).ignore_index == IGNORE
    preds, labels = next(batches())
    metric = NAMED[name](3)
    metric.update(preds, labels)
    assert_close(metric.compute(), torch.tensor(reference(name, preds.numpy(), labels.numpy(), 3), dtype=torch.float32))


@pytest.mark.parametrize(("name", "option"), [("biou", "width"), ("bf1", "tolerance")])
def test_the_extent_of_a_boundary_is_an_option(name, option):
    preds, labels = list(batches())[1]
    for extent in (1, 3):
        metric = NAMED[name](num_classes=3, ignore_index=IGNORE, **{option: extent})
        metric.update(preds, labels)
        expected = reference(name, preds.numpy(), labels.numpy(), 3, extent=extent)
        assert_close(metric.compute(), torch.tensor(expected, dtype=torch.float32))
        assert getattr(metric.formula, option) == extent
