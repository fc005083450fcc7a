"""A search that begins with what earlier ones have found, and the export of its trials."""

import shutil
from importlib.util import find_spec

import pytest
from conftest import SEARCH
from helpers.searches import FEW

from autosegloss import ThetaCard
from autosegloss.curves import Linear
from autosegloss.search import History
from autosegloss.theta_card import shipped_cards
from hydra_plugins.autosegloss_sweeper._prior import prior_candidates

CARD = shipped_cards()["miou"]
OTHER = ("hydra/sweeper", "hydra.sweeper.rungs", "hydra.sweeper.finalists")
RACE = [
    *(override for override in SEARCH if not override.startswith(OTHER)),
    "hydra/sweeper=auto",
    "hydra.sweeper.rungs=[1]",
    "hydra.sweeper.steps=1",
    "hydra.sweeper.samples=4",
    "hydra.sweeper.finalists=1",
    "hydra.sweeper.final_seeds=1",
    *FEW,
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("earlier") / "earlier"


@pytest.fixture
def earlier(command, trainings, tmp_path, place):
    """A finished search in the folder `earlier`, of which each test has a copy; its trials."""
    if not place.exists():
        command("search", *SEARCH, f"hydra.sweep.dir={place}")
        trainings.directories.clear()
    shutil.copytree(place, tmp_path / "earlier")
    return History(tmp_path / "earlier").trials


@pytest.mark.slow
def test_a_race_begins_with_the_best_thetas_of_an_earlier_search_and_with_cards(command, earlier, tmp_path):
    command("search", *RACE, "prior=[earlier,cards]", "hydra.sweep.dir=found")
    trials = History(tmp_path / "found").trials
    begun = {trial.name: trial for trial in trials if trial.step == 0}
    best = sorted({trial.theta: trial.score for trial in earlier}.items(), key=lambda item: -item[1])
    assert [begun[f"prior {number}"].theta for number in (1, 2)] == [theta for theta, _ in best[:2]]
    assert "card of gacc" in begun  # mAcc and gAcc have the same operation
    assert "card of miou" not in begun
    assert begun["card of gacc"].theta == pytest.approx(ThetaCard.load("gacc").theta["and"][0].tolist())


@pytest.mark.slow
def test_the_paper_s_search_begins_around_the_best_theta_of_an_earlier_one(command, earlier, tmp_path):
    command("search", *SEARCH, "prior=earlier", "hydra.sweep.dir=found")
    best = History(tmp_path / "earlier").best_samples(1)[0]
    assert History(tmp_path / "found").steps[0].mean == pytest.approx(best.theta)


@pytest.mark.slow
def test_a_search_that_goes_on_does_not_need_the_earlier_one_any_more(command, earlier, trainings, tmp_path):
    arguments = [*RACE, "prior=earlier"]
    command("search", *arguments, "hydra.sweep.dir=whole")
    trainings.directories.clear()
    trainings.interrupted = 3
    with pytest.raises(SystemExit, match="interrupted"):
        command("search", *arguments, "hydra.sweep.dir=found")
    trainings.interrupted = None
    (tmp_path / "earlier").rename(tmp_path / "moved")
    command("search", "resume=found", tiny=False)
    found, whole = (
        [(trial.name, trial.theta, trial.score) for trial in History(tmp_path / name).trials]
        for name in ("found", "whole")
    )
    assert found == whole


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("prior=nowhere", r"prior=nowhere: no search can be read there \(.*\): give folders of search.py, cards, or"),
        ("prior=[cards,nowhere]", r"prior=nowhere: no search can be read there \(No such file or directory\)"),
        (
            f"prior=[{CARD}]",
            f"prior={CARD}: a card cannot be a prior; give the folder of its search, or the word cards",
        ),
        ("prior=a,b", r"a search takes one value for each key, got prior=a,b: write them in brackets, prior=\[A,B\]"),
        ("export=tensorboard", "export must be optuna, or null, got 'tensorboard'"),
    ],
)
def test_other_sources_are_refused_in_one_line(command, trainings, setting, message):
    with pytest.raises(SystemExit, match=f"^error: {message}") as ended:
        command("search", *RACE, setting)
    assert "\n" not in str(ended.value)
    assert not trainings.directories


@pytest.mark.slow
def test_a_search_of_other_operations_is_refused(command, earlier, trainings):
    other = [override for override in RACE if not override.startswith("metric=")]
    with pytest.raises(
        SystemExit, match=r"prior=earlier: its thetas bend and by the curve Bezier\(.*\), those of miou bend and, or"
    ):
        command("search", *other, "metric=miou", "prior=earlier")
    with pytest.raises(SystemExit, match=r"those of macc bend and by the curve Linear\(pieces=5, scale=1.0\)"):
        command("search", *RACE, "curve=linear", "prior=earlier")
    assert not trainings.directories


@pytest.mark.slow
def test_thetas_of_linear_curves_are_real_numbers_and_a_prior_as_well(command, trainings, tmp_path):
    command("search", *SEARCH, "curve=linear", "hydra.sweep.dir=found")
    thetas = [trial.theta for trial in History(tmp_path / "found").trials if trial.theta]
    assert any(number < 0 for theta in thetas for number in theta)
    card = ThetaCard.load(tmp_path / "found/theta.yaml")
    assert card.curve == Linear()
    known = prior_candidates(str(tmp_path / "found"), tmp_path, card.metric, Linear())
    assert {candidate.theta for candidate in known} <= set(thetas)
    assert known


@pytest.mark.skipif(find_spec("optuna") is not None, reason="Optuna is installed here")
def test_the_export_for_optuna_names_the_missing_extra(command, trainings):
    with pytest.raises(SystemExit, match=r"^error: export=optuna needs optuna, not installed here: .*\[optuna\]"):
        command("search", *SEARCH, "export=optuna")


@pytest.mark.slow
@pytest.mark.skipif(find_spec("optuna") is None, reason="needs the extra optuna")
def test_the_journal_holds_every_trial_as_optuna_reads_it(command, trainings, tmp_path):
    import optuna

    command("search", *RACE, "export=optuna", "hydra.sweep.dir=found")
    journal = optuna.storages.journal.JournalFileBackend(str(tmp_path / "found/optuna.log"))
    (name,) = optuna.get_all_study_names(optuna.storages.JournalStorage(journal))
    study = optuna.load_study(study_name=name, storage=optuna.storages.JournalStorage(journal))
    trials = History(tmp_path / "found").trials
    assert len(study.trials) == len(trials)
    assert [trial.value for trial in study.trials] == [trial.score for trial in trials]
    assert study.best_value == max(trial.score for trial in trials)
    for written, trial in zip(study.trials, trials, strict=True):
        theta = [written.params[f"theta_{index}"] for index in range(len(trial.theta))]
        assert theta == list(trial.theta)
        assert (written.params["scale"], written.user_attrs["name"]) == (trial.scale, trial.name)
        assert written.user_attrs["miou"] == trial.scores["miou"]
