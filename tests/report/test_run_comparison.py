"""Runs beside each other: names by what differs, means over seeds, intervals, the end of a grid."""

import csv
import statistics

import pytest
from helpers.trained_runs import write_trained
from scipy import stats

from autosegloss.cli.compare import run
from autosegloss.errors import InputError
from autosegloss.report.archive import Archive
from autosegloss.report.run_comparison import RunComparison

SCORES = {"gacc": 0.9, "miou": 0.5}


def names(*folders):
    return list(RunComparison.of(Archive.of(folders).runs).rows)


@pytest.fixture
def written(tmp_path):
    """`written("a", "loss=dice")` is the folder `a` of a finished run with this loss."""
    return lambda name, *overrides, **options: write_trained(
        tmp_path / name, *overrides, **{"scores": SCORES, **options}
    )


def test_runs_are_named_by_the_choices_that_differ(written, tmp_path):
    written("0", "loss=dice")
    written("1", "loss=cross_entropy")
    assert names(tmp_path) == ["dice", "cross_entropy"]
    written("2", "loss=dice", "optimizer=sgd")
    named = ["dice optimizer=scratch", "cross_entropy optimizer=scratch", "dice optimizer=sgd"]
    assert names(tmp_path) == named


def test_settings_that_differ_beside_the_choices_are_part_of_the_name(written, tmp_path):
    written("0", "loss=dice", "optimizer.lr=0.1")
    written("1", "loss=cross_entropy", "optimizer.lr=0.1")
    written("2", "loss=dice", "optimizer.lr=0.4")
    assert names(tmp_path) == ["dice optimizer.lr=0.1", "cross_entropy optimizer.lr=0.1", "dice optimizer.lr=0.4"]
    assert names(tmp_path / "0", tmp_path / "2") == ["optimizer.lr=0.1", "optimizer.lr=0.4"]
    assert names(tmp_path / "0") == ["dice"]


SAME = [  # settings that change no result
    "checkpoint.every_minutes=1",
    "checkpoint.keep_best=3",
    "trainer.log_every_n_steps=1",
    "+trainer.default_root_dir=elsewhere",
    "trials_per_gpu=2",
    "notes=false",
    "logger=tensorboard",
    "validate_every=100",  # as the other, which refers to trainer.max_steps
    "callbacks=pictures",
]


def test_what_changes_no_result_is_no_part_of_the_name(written, tmp_path):
    """A setting that was part of it would stand in the name beside the others."""
    written("0", "loss=dice", "trainer.max_steps=100")
    written("1", "loss=dice", "trainer.max_steps=100", *SAME, seed=1)
    assert names(tmp_path) == ["dice"]


def test_a_setting_that_refers_to_another_is_named_by_its_value(written, tmp_path):
    written("0", "trainer.max_steps=100")
    written("1", "trainer.max_steps=100", "validate_every=20")
    assert names(tmp_path) == ["validate_every=100", "validate_every=20"]
    written("2", "trainer.max_steps=200")
    assert names(tmp_path / "0", tmp_path / "2") == ["trainer.max_steps=100", "trainer.max_steps=200"]


def test_the_number_of_devices_is_part_of_the_name(written, tmp_path):
    written("0")
    written("1", "trainer.devices=2")
    assert names(tmp_path) == ["trainer.devices=1", "trainer.devices=2"]


def test_a_theta_card_is_named_by_its_file(written, tmp_path):
    for name in ("0", "1"):
        written(name, "loss=searched", f"loss.theta=/searches/miou/{name}/theta.yaml")
    assert names(tmp_path) == ["loss.theta=0/theta.yaml", "loss.theta=1/theta.yaml"]


def test_seeds_are_one_row_with_a_mean_a_deviation_and_an_interval(written, tmp_path):
    found = [0.5, 0.53, 0.58]
    for seed, score in enumerate(found):
        written(f"dice {seed}", "loss=dice", seed=seed, scores={**SCORES, "miou": score})
    written("ce", "loss=cross_entropy", "test=true")
    run([str(tmp_path), f"out={tmp_path / 'out'}"])
    rows = {
        (row["run"], row["metric"]): row
        for row in csv.DictReader((tmp_path / "out/comparison.csv").read_text().splitlines())
    }
    assert rows.keys() == {(name, metric) for name in ("dice", "cross_entropy") for metric in SCORES}
    row, percent = rows["dice", "miou"], [100 * score for score in found]
    assert (row["seeds"], float(row["mean"])) == ("3", pytest.approx(statistics.fmean(percent)))
    low, high = stats.t.interval(0.95, 2, statistics.fmean(percent), stats.sem(percent))
    assert (float(row["low"]), float(row["high"])) == pytest.approx((low, high))
    assert rows["cross_entropy", "miou"]["std"] == ""
    assert "**53.7 ± 4.0**" in (tmp_path / "out/comparison.md").read_text()
    assert (tmp_path / "out/comparison.png").stat().st_size > 5000


def test_of_a_run_that_was_repeated_the_newest_counts(written, tmp_path):
    written("old", scores={"miou": 0.1})
    written("new", scores={"miou": 0.7})
    (row,) = RunComparison.of(Archive.of([tmp_path]).runs).scores().values()
    assert row == [{"miou": 0.7}]


def test_the_test_split_and_another_metric(written, tmp_path, capsys):
    written("0", "loss=dice", test={"miou": 0.4})
    run([str(tmp_path), "split=test", "metric=miou"])
    assert "40.0" in (shown := capsys.readouterr().out)
    assert "Test" in shown


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with the folder `runs` of one run and one that is empty."""
    root = tmp_path_factory.mktemp("mistakes")
    write_trained(root / "runs/0", scores=SCORES)
    (root / "empty").mkdir()
    return root


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected folders of runs, got none"),
        (["nowhere"], "there is no folder nowhere"),
        (["empty"], "there is no finished run to compare"),
        (["runs", "metric=mio"], "unknown metric 'mio': choose one of miou, gacc"),
        (["runs", "split=train"], "unknown split 'train': choose one of "),
        (["runs", "split=test"], "has no scores on the test split: train it with test=true"),
        (["runs", "output=x"], "unknown setting 'output': choose one of out, "),
        (["runs", "out=runs/0/result.json"], r"cannot be written .*: choose another place with out=DIR"),
    ],
)
def test_a_mistake_is_one_line(runs, monkeypatch, arguments, message):
    monkeypatch.chdir(runs)
    with pytest.raises(InputError, match=message):
        run(arguments)


@pytest.mark.slow
def test_a_grid_of_trainings_ends_with_their_comparison(command, tmp_path):
    quiet = ["trainer.enable_progress_bar=false", "hydra.sweep.dir=grid"]
    out = command("train", "hydra.mode=MULTIRUN", "loss=dice,cross_entropy", "seed=0,1", *quiet)
    assert "mean ± standard deviation over 2 seeds" in out[out.rindex("results: ") :]
    assert {path.name for path in (tmp_path / "grid").glob("comparison.*")} == {
        "comparison.md",
        "comparison.csv",
        "comparison.png",
    }
    assert "| cross_entropy |" in (tmp_path / "grid/comparison.md").read_text()
