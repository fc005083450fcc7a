"""A race of losses: who begins, who goes on, when it ends."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from autosegloss.errors import InputError
from autosegloss.search import CMAES, SEARCHED, History, Origin, Proposal, Race, RandomSearch, Space, Trial

MU = (0.5, 0.5)
ENTRIES = [
    Proposal("cross-entropy", ("loss=cross_entropy",)),
    Proposal("dice", ("loss=dice",)),
    Proposal("identity", ("loss=naive",), theta=MU),
    Proposal("card", ("loss=searched",), theta=(0.2, 0.8)),
]
SCORES = {"cross-entropy": 0.5, "dice": 0.3, "identity": 0.4, "card": 0.6}


def race(strategy=RandomSearch, steps=2, scales=None, **settings):
    space = Space(scales)
    made = strategy(initial_mean=space.point(MU), samples=4, sigma=0.1, seed=0)

    def proposal(point):
        return Proposal(SEARCHED, ("loss=surrogate",), space.theta(point), space.scale(point), point)

    return Race(made, steps, proposal, ENTRIES, space, **{"rungs": [40, 80], "keep": 3, **settings})


def score_of(proposal):
    """Known losses score at their scale 4 best, thetas the better the nearer they are to the card's."""
    if proposal.name != SEARCHED:
        return SCORES[proposal.name] - 0.05 * abs(np.log2(proposal.scale / 4))
    return 0.65 - ((np.array(proposal.theta) - (0.2, 0.8)) ** 2).sum()


def trial(step, index, proposal, score):
    kept = {name: getattr(proposal, name) for name in ("theta", "name", "scale", "phase", "pause_at", "origin")}
    status = "ok" if score is not None else "failed"
    return Trial(step, index, score=score, status=status, **kept)


def run(race, score_of=score_of, steps=None):
    """{step: its proposals} and the ended steps of a race, or of its first `steps` steps."""
    history, asked = History(), []
    while (steps is None or len(asked) < steps) and (proposals := race.ask(history.steps)):
        for index, proposal in enumerate(proposals):
            history.add(trial(len(asked), index, proposal, score_of(proposal)))
        race.tell(history.close_step(len(asked), race.mean), proposals)
        asked.append(proposals)
    return asked, history.steps


def test_its_phases_follow_each_other():
    asked, ended = run(race(tuned=1))
    assert [(step.phase, len(step.trials), step.trials[0].pause_at) for step in ended] == [
        ("losses", 4, 40),
        ("scales", 4, 40),
        ("theta", 4, 40),
        ("theta", 4, 40),
        ("going on", 4, 80),
    ]
    assert [proposal.name for proposal in asked[0]] == [entry.name for entry in ENTRIES]


def test_the_best_and_the_first_are_tried_at_other_scales():
    asked, _ = run(race(tuned=1))
    assert [(proposal.name, proposal.scale) for proposal in asked[1]] == [
        ("cross-entropy", 0.25),
        ("cross-entropy", 4.0),
        ("card", 0.25),
        ("card", 4.0),
    ]


def test_thetas_begin_around_all_known_ones_and_go_on_around_the_best():
    for strategy in (RandomSearch, CMAES):
        asked, _ = run(race(strategy))
        first, second = ([np.array(proposal.theta) for proposal in asked[step]] for step in (1, 2))
        for index, theta in enumerate(first):
            near, far = (MU, (0.2, 0.8))[:: 1 if index % 2 == 0 else -1]
            assert np.linalg.norm(theta - near) < np.linalg.norm(theta - far)
        assert np.abs(np.mean(second, axis=0) - (0.2, 0.8)).max() < 0.2


def test_with_one_known_theta_the_strategy_begins_around_it():
    maker = race(CMAES)
    maker.entries = [entry for entry in maker.entries if entry.name != "identity"]
    asked, _ = run(maker)
    assert all(proposal.point for proposal in asked[1])
    assert np.abs(np.mean([proposal.theta for proposal in asked[1]], axis=0) - (0.2, 0.8)).max() < 0.2


def test_the_scale_is_searched_with_theta():
    asked, _ = run(race(scales=(0.25, 4.0)))
    proposals = asked[2]
    assert all(len(proposal.point) == 3 for proposal in proposals)
    assert len({proposal.scale for proposal in proposals}) == 4
    assert all(0.25 <= proposal.scale <= 4 for proposal in proposals)


def test_the_best_of_all_and_the_first_go_on_from_their_saved_states():
    asked, ended = run(race(tuned=1))
    before = sorted((t for step in ended[:4] for t in step.trials), key=lambda t: -t.score)
    went_on = [ended[p.origin.step].trials[p.origin.trial] for p in asked[4]]
    assert went_on[:3] == before[:3]
    assert (went_on[3].name, went_on[3].scale) == ("cross-entropy", 4.0)
    for proposal, origin in zip(asked[4], went_on, strict=True):
        assert (proposal.name, proposal.scale, proposal.theta) == (origin.name, origin.scale, origin.theta)
        assert proposal.overrides == asked[origin.step][origin.index].overrides


def test_the_result_is_the_best_of_each_loss():
    maker = race(tuned=4, rungs=[40], keep=6)
    _, ended = run(maker)
    result = maker.result(ended, searched=2)
    named = [(found.name, found.scale) for found in result if found.name != SEARCHED]
    assert named == [("card", 4.0), ("cross-entropy", 4.0), ("identity", 4.0), ("dice", 4.0)]
    assert [found.name for found in result].count(SEARCHED) == 2
    assert [found.score for found in result] == sorted((found.score for found in result), reverse=True)


def test_the_first_entry_is_always_in_the_result():
    maker = race(rungs=[40], keep=2)
    _, ended = run(maker, lambda proposal: 0.0 if proposal.name == "cross-entropy" else score_of(proposal))
    assert [found.name for found in maker.result(ended)][1:] == [SEARCHED, "cross-entropy"]


def test_what_was_trained_longer_comes_first():
    maker = race()
    _, ended = run(maker, lambda proposal: score_of(proposal) - 0.5 * (proposal.pause_at == 80))
    ranking = maker.ranking(ended)
    assert [found.pause_at for found in ranking] == [80] * 4 + [40] * (len(ranking) - 4)
    went_on = {found.origin for found in ranking}
    assert not any(Origin(found.step, found.index) in went_on for found in ranking)


def test_steps_that_gain_nothing_end_the_thetas():
    settled = run(race(steps=5, patience=2), lambda p: 0.1 if p.name == SEARCHED else SCORES[p.name])[1]
    assert [step.phase for step in settled].count("theta") == 2
    rising = iter(np.linspace(0.1, 0.9, 100))
    gains = run(race(steps=5, patience=2), lambda p: float(next(rising)))[1]
    assert [step.phase for step in gains].count("theta") == 5


def test_the_saved_states_of_all_that_goes_on_are_needed_until_then():
    maker = race(tuned=1, rungs=[40, 80, 160])
    asked, ended = run(maker)
    for done, proposals in enumerate(asked):
        origins = {proposal.origin for proposal in proposals if proposal.origin}
        for earlier in range(1, done + 1):
            there = {origin for origin in origins if origin.step < earlier}
            assert there <= maker.needed(ended[:earlier])
    assert maker.needed(ended) == set()


def test_its_outlook_counts_what_is_to_come():
    maker = race(tuned=1)
    asked, ended = run(maker)
    for done in range(len(ended) + 1):
        ahead = maker.outlook(ended[:done])
        assert sum(part.trials for part in ahead) == sum(map(len, asked[done:]))
    assert [(part.name, part.trials, part.steps) for part in maker.outlook([])] == [
        ("losses", 4, 40),
        ("scales", 4, 40),
        ("thetas", 8, 40),
        ("going on", 4, 40),
    ]


def test_failed_trials_do_not_go_on():
    asked, _ = run(race(), lambda p: None if p.name == "card" else score_of(p))
    assert "card" not in {proposal.name for proposal in asked[-1]}


@pytest.mark.parametrize("steps", range(1, 5))
@pytest.mark.parametrize("strategy", [RandomSearch, CMAES])
def test_a_resumed_race_is_bit_identical(strategy, steps):
    settings = {"scales": (0.5, 8.0), "tuned": 1}
    whole, _ = run(race(strategy, **settings))
    first = race(strategy, **settings)
    asked, ended = run(first, steps=steps)
    second = race(strategy, **settings)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert second.ask(ended) == whole[steps]
    assert asked == whole[:steps]


def test_a_proposal_is_read_back_exactly():
    for proposals in run(race(tuned=1, scales=(0.5, 8.0)))[0]:
        for proposal in proposals:
            assert Proposal.load(json.loads(json.dumps(asdict(proposal)))) == proposal


def test_settings_out_of_range_are_refused():
    for rungs in ([], [80, 40], [40, 40], [0]):
        with pytest.raises(InputError, match="rungs: expected rising numbers of training steps"):
            race(rungs=rungs)
