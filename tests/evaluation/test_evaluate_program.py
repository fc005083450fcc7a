"""autosegloss evaluate: its files, its scores, and its messages."""

import csv
import json

import numpy as np
import pytest
import torch
from helpers.trained_runs import write_trained
from PIL import Image

from autosegloss.cli.evaluate import main, run
from autosegloss.errors import InputError
from autosegloss.metrics import FormulaMetric

QUICK = "bootstrap=20"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [write_trained(folder / name, seed=seed) for seed, name in enumerate(("one", "other"))]


def read(path):
    return list(csv.reader(path.read_text().splitlines()))


def test_a_run_is_judged_in_detail(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run([str(runs[0]), QUICK, f"other={runs[1]}", "split=test", "out=found"])
    found = tmp_path / "found"
    names = "classes.csv confusion.csv confusion.png images.csv index.html reliability.png scores.json worst.png"
    assert sorted(path.name for path in found.iterdir()) == names.split()
    printed = capsys.readouterr().out
    assert printed.endswith("page: found/index.html\n")
    scores = json.loads((found / "scores.json").read_text())
    assert (scores["split"], scores["images"], scores["decode"]) == ("test", 8, "argmax")
    for score in scores["scores"].values():
        assert score["low"] <= score["score"] + 0.05
        assert score["score"] <= score["high"] + 0.05
    assert scores["differences"].keys() == scores["scores"].keys()
    images, classes = read(found / "images.csv"), read(found / "classes.csv")
    assert images[0] == ["image", "miou", "gacc", "macc", "fwiou", "biou", "bf1"]
    assert len(images) == 1 + 8
    assert classes[0][3:] == ["macc", "miou", "biou", "bf1", "miou low", "miou high"]
    assert [row[0] for row in classes[1:]] == scores["class_names"]
    confusion = np.array([row[1:] for row in read(found / "confusion.csv")[1:]], int)
    assert confusion.sum() == 8 * 32 * 32
    share = confusion.trace() / confusion.sum()
    assert scores["scores"]["gacc"]["score"] == pytest.approx(share)
    page = (found / "index.html").read_text()
    assert "prefers-color-scheme: dark" in page
    assert all(f'src="{name}.png"' in page for name in ("confusion", "reliability", "worst"))
    assert f"less {runs[1]}" in page


@pytest.mark.slow
def test_a_training_is_judged_as_it_has_judged_itself(command, tmp_path):
    command("train", "hydra.run.dir=run", "test=true", "trainer.enable_progress_bar=false", "trainer.max_steps=20")
    own = json.loads((tmp_path / "run/result.json").read_text())
    for split, key in {"val": "scores", "test": "test"}.items():
        run([str(tmp_path / "run"), QUICK, f"split={split}"])
        found = json.loads((tmp_path / f"run/evaluation/{split}/scores.json").read_text())["scores"]
        assert {name: score["score"] for name, score in found.items()} == pytest.approx(own[key], abs=2e-3)


def test_other_data_take_the_place_of_the_runs_own(runs, tmp_path):
    """Of the folder `own` each image has a size of its own; the run's size of the input holds."""
    root = tmp_path / "own"
    rng = np.random.default_rng(0)
    for name, size in {"a": (40, 50), "b": (64, 33)}.items():
        for folder, shape in {"images": (*size, 3), "masks": size}.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 6, shape).astype(np.uint8)).save(root / folder / f"{name}.png")
    sized = write_trained(tmp_path / "sized", "data.size=[32,48]")
    data = ["data=folder", f"data.root={root}", "data.source.classes=6"]
    run([str(sized), QUICK, *data, "split=all"])
    found = json.loads((sized / "evaluation/folder-all/scores.json").read_text())
    assert (found["images"], found["scored at"]) == (2, "the masks' own size")
    assert found["data"] == f"Folder in {root}"
    confusion = read(sized / "evaluation/folder-all/confusion.csv")
    assert sum(int(cell) for row in confusion[1:] for cell in row[1:]) == 40 * 50 + 64 * 33


def test_a_setting_of_the_runs_own_data_can_be_another(runs):
    run([str(runs[0]), QUICK, "data.source.val=3"])
    assert json.loads((runs[0] / "evaluation/val/scores.json").read_text())["images"] == 3


@pytest.fixture
def masks(tmp_path):
    """Folders of true and predicted masks of 3 classes, one of them in a subfolder."""
    rng = np.random.default_rng(0)
    for kind in ("truth", "predicted"):
        (tmp_path / kind / "sub").mkdir(parents=True)
        for name in ("a.png", "sub/b.png"):
            Image.fromarray(rng.integers(0, 3, (12, 17)).astype(np.uint8)).save(tmp_path / kind / name)
    return tmp_path


def test_masks_in_files_are_judged_by_the_same_metrics(masks, monkeypatch):
    monkeypatch.chdir(masks)
    run(["predictions=predicted", "truth=truth", "classes=[a,b,c]", QUICK, "tolerance=1"])
    found = json.loads((masks / "evaluation/scores.json").read_text())
    metric = FormulaMetric("miou", 3)
    for name in ("a.png", "sub/b.png"):
        metric.update(
            *(torch.from_numpy(np.array(Image.open(masks / kind / name)))[None] for kind in ("predicted", "truth"))
        )
    assert found["scores"]["miou"]["score"] == pytest.approx(float(metric.compute()))
    assert found["class_names"] == ["a", "b", "c"]
    assert not (masks / "evaluation/reliability.png").exists()
    assert [row[0] for row in read(masks / "evaluation/images.csv")] == ["image", "a", "sub/b"]


def test_predictions_without_truth_are_told(masks, monkeypatch, capsys):
    monkeypatch.chdir(masks)
    for name in ("c.png", "d.png", "e.png", "f.png"):
        (masks / "predicted" / name).write_bytes((masks / "predicted/a.png").read_bytes())
    run(["predictions=predicted", "truth=truth", "classes=3", QUICK])
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert told == ["note: 4 of 6 masks in predicted have no truth and do not count: c, d, e, ..."]
    assert len(read(masks / "evaluation/images.csv")) == 1 + 2


@pytest.mark.parametrize(("folder", "key"), [("truth", "truth"), ("predicted", "predictions")])
def test_two_masks_of_one_name_are_an_error(masks, monkeypatch, folder, key):
    monkeypatch.chdir(masks)
    Image.new("L", (17, 12)).save(masks / folder / "sub/b.tif")
    message = f"^{key}: {folder}/sub/b.png and {folder}/sub/b.tif are masks of one name: remove one of them$"
    with pytest.raises(InputError, match=message):
        run(["predictions=predicted", "truth=truth", "classes=3", QUICK])


def test_a_table_beside_the_true_masks_reads_both(masks, monkeypatch):
    monkeypatch.chdir(masks)
    (masks / "classes.yaml").write_text("- {name: x, id: [0, 1]}\n- {name: y, id: 2}\n")
    run(["predictions=predicted", "truth=truth", QUICK, "out=e"])
    assert json.loads((masks / "e/scores.json").read_text())["class_names"] == ["x", "y"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], r"expected the folder of a run, or predictions=DIR truth=DIR, got none; .* --help has examples"),
        (["{run}", "{run}"], "expected the folder of a run, .* got 2"),
        (["{run}", "splt=test"], "unknown setting 'splt': choose one of split, "),
        (["{run}", "split=validation"], "unknown split 'validation': choose one of "),
        (["{run}", "bootstrap=many"], "bootstrap: expected a whole number, got many"),
        (["{run}", "bootstrap=0"], "bootstrap: expected 1 or more resamples, got 0"),
        (["{run}", "decode=rank"], "unknown decode 'rank': choose one of rankseg"),
        (["{run}", "device=abacus"], r"device=abacus cannot be used .*: set device=cpu"),
        (["{run}", "data.sise=3"], "unknown setting 'data.sise': choose one of data.size, "),
        (["{run}", "--fast"], "unknown option '--fast': choose one of "),
        (["predictions=predicted"], "predictions=DIR needs the true masks, too: set truth=DIR"),
        (
            ["predictions=predicted", "truth=truth"],
            r"classes are unknown: set classes=N .* classes.yaml in truth",
        ),
        (["predictions=predicted", "truth=truth", "classes=yes"], "classes: expected a number, or names"),
        (["predictions=predicted", "truth=truth", "classes=2"], "^a: labels must lie in .* got .2."),
        (["predictions=nowhere", "truth=truth", "classes=3"], "predictions=nowhere is no folder"),
        (["predictions=predicted/sub", "truth=truth", "classes=3"], "2 of 2 masks in truth have no prediction in "),
        (["{run}", "predictions=predicted"], "predictions=DIR judges masks in files: leave out "),
    ],
)
def test_a_mistake_is_one_line(runs, masks, monkeypatch, arguments, message):
    monkeypatch.chdir(masks)
    arguments = [argument.format(run=runs[0]) for argument in arguments]
    with pytest.raises(InputError, match=message):
        run(arguments)
    monkeypatch.setattr("sys.argv", ["evaluate", *arguments])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    with pytest.raises(SystemExit, match=r"^error: .*") as ended:
        main()
    assert "\n" not in str(ended.value)
