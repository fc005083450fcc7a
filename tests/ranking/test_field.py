"""Means and paired differences of candidates, against loops over resamples and against scipy."""

import math

import numpy as np
import pytest
import torch
from helpers.evidence import FORMULAS, drawn_evidence
from scipy import stats

from autosegloss.errors import InputError
from autosegloss.formulas import Formula, resolve
from autosegloss.ranking import Field, resampled_scores, resamples
from autosegloss.ranking.field import over_seeds

IMAGES, DRAWS = 40, 60


def field(**runs) -> Field:
    return Field({name: dict(enumerate(own)) for name, own in runs.items()}, FORMULAS, draws=DRAWS)


def some(seeds: int, right: float, start: int = 0) -> list:
    return [drawn_evidence(IMAGES, right + 0.02 * seed, start + seed) for seed in range(seeds)]


def test_a_mean_is_over_seeds_with_its_standard_error():
    runs = some(3, 0.7)
    scores = [run.score(FORMULAS["miou"]) for run in runs]
    mean = field(one=runs).mean("one", "miou")
    assert mean.value == pytest.approx(np.mean(scores))
    assert mean.stderr == pytest.approx(stats.sem(scores))
    assert field(one=runs[:1]).mean("one", "miou").stderr is None


@pytest.mark.parametrize(("metric", "seeds"), [("miou", 1), ("gacc", 2), *((metric, 3) for metric in FORMULAS)])
def test_a_difference_is_that_of_a_loop_over_resampled_images_and_seeds(metric, seeds):
    one, other = some(seeds, 0.7), some(seeds, 0.6, start=10)
    contest = field(one=one, other=other)
    found = contest.difference("one", "other", metric)
    counts, picks = resamples(IMAGES, DRAWS, 0), contest._picks(seeds)
    drawn = []
    for count, pick in zip(counts, picks.tolist(), strict=True):
        images = [index for index, times in enumerate(count.long().tolist()) for _ in range(times)]
        each = [_score(a, metric, images) - _score(b, metric, images) for a, b in zip(one, other, strict=True)]
        mean = np.mean(each)
        spread = np.mean([each[seed] for seed in pick]) - mean
        drawn.append(mean + spread * (math.sqrt(seeds / (seeds - 1)) if seeds > 1 else 0))
    assert [found.low, found.high] == pytest.approx(list(np.quantile(drawn, [0.025, 0.975])))
    assert found.stderr == pytest.approx(np.std(drawn))
    exact = [a.score(FORMULAS[metric]) - b.score(FORMULAS[metric]) for a, b in zip(one, other, strict=True)]
    assert found.value == pytest.approx(np.mean(exact))
    assert found.seeds == seeds


def _score(evidence, metric: str, images: list[int]) -> float:
    totals = {name: sum(value[image] for image in images) for name, value in evidence.sums[metric].items()}
    return float(FORMULAS[metric].score(totals))


@pytest.mark.parametrize("metric", ["miou", "bf1"])
def test_with_one_seed_the_interval_is_that_of_scipy(metric):
    one, other = some(1, 0.7)[0], some(1, 0.6, start=10)[0]
    found = Field({"one": {0: one}, "other": {0: other}}, FORMULAS, draws=4000).difference("one", "other", metric)

    def difference(images) -> float:
        return _score(one, metric, images) - _score(other, metric, images)

    reference = stats.bootstrap(
        (np.arange(IMAGES),), difference, n_resamples=500, method="percentile", vectorized=False, rng=1
    )
    assert found.low == pytest.approx(reference.confidence_interval.low, abs=0.25 * found.stderr)
    assert found.high == pytest.approx(reference.confidence_interval.high, abs=0.25 * found.stderr)
    assert found.stderr == pytest.approx(reference.standard_error, rel=0.1)


def test_resampled_seeds_vary_as_their_mean_does():
    """The variance of the resampled mean is that of the seeds over S, without the bias of few seeds."""
    scores = torch.tensor([0.1, 0.4, 0.2], dtype=torch.float64).expand(100_000, 3)
    picks = torch.from_numpy(np.random.default_rng(0).integers(3, size=(100_000, 3)))
    means = over_seeds(scores, picks)
    assert float(means.std()) == pytest.approx(stats.sem([0.1, 0.4, 0.2]), rel=0.01)
    assert float(means.mean()) == pytest.approx(0.7 / 3, abs=1e-3)


def test_a_candidate_does_not_differ_from_itself():
    found = field(one=some(3, 0.7)).difference("one", "one", "miou")
    assert (found.value, found.low, found.high, found.stderr) == (0, 0, 0, 0)


def test_only_seeds_that_both_have_are_paired():
    one, other = some(3, 0.7), some(3, 0.6, start=10)
    all_runs, less = field(one=one[:2], other=other), field(one=one[:2], other=other[:2])
    found = all_runs.difference("one", "other", "miou")
    assert found == less.difference("one", "other", "miou")
    assert found.seeds == 2


def test_candidates_that_were_judged_on_other_images_are_refused():
    with pytest.raises(InputError, match="not judged on the same images"):
        field(one=some(1, 0.7), other=[drawn_evidence(IMAGES, 0.7, seed=0, truth=1)])


class Branching(Formula):
    """A formula that decides by the value of its sums, as code of a user may."""

    name, operations = "branching", ()

    def statistics(self, logic, pred, true, valid):
        raise NotImplementedError

    def class_scores(self, sums):
        if sums["true"].sum() > 100:
            return sums["hit"] / sums["true"].clamp_min(1)
        return 0 * sums["hit"].double()


def test_a_formula_that_branches_on_its_sums_is_resampled_too():
    evidence = drawn_evidence(IMAGES, 0.7, seed=0)
    sums = {"hit": evidence.sums["miou"]["intersection"], "true": evidence.sums["miou"]["true"]}
    counts = resamples(IMAGES, 50, 0)
    macc = resampled_scores(resolve("macc"), evidence.sums["macc"], counts, 255)
    torch.testing.assert_close(resampled_scores(Branching(), sums, counts, 255), macc)
    del Formula.members["branching"]
