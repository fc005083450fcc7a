"""Which size scores are measured at and how far boundaries reach: from the configuration to what is printed."""

import json

import numpy as np
import pytest
from helpers.members import CONF, slow
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from PIL import Image

from autosegloss import ThetaCard
from autosegloss.cli import figure
from autosegloss.errors import InputError
from autosegloss.report.summary import write_tables
from autosegloss.training.outcome import Result, scored_at
from autosegloss.training.run import make_module

OWN = "the masks' own size"
FOLDER = ["data=folder", "data.root=/somewhere", "data.source.classes=3"]


def composed(entry, *overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(entry, list(overrides), return_hydra_config=True)


def module_of(*overrides):
    cfg = composed("train", "network.decoder_channels=16", *overrides)
    return make_module(cfg, instantiate(cfg.data))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, OWN),
        ({"size": None, "score_at": "input"}, OWN),
        ({"size": [96, 128], "score_at": "masks"}, OWN),
        ({"size": 64, "score_at": "input"}, "64x64"),
        ({"size": [96, 128], "score_at": "input", "keep_aspect": True}, "96x128"),
        ({"size": [96, 128], "score_at": "masks", "keep_aspect": True}, f"{OWN}, the middle that fills 96x128"),
    ],
)
def test_the_size_of_the_scores_in_words(settings, text):
    assert scored_at(settings) == text


@pytest.mark.parametrize("profile", ["demo", "small", "paper"])
def test_trials_are_scored_at_the_input_and_the_table_at_the_masks(profile):
    cfg = composed("search", f"profile={profile}", *FOLDER)
    assert cfg.data.score_at == "input"
    assert "data.score_at=masks" in cfg.hydra.sweeper.comparison_common
    assert composed("train", *FOLDER).data.score_at == "masks"


@pytest.mark.parametrize(
    ("overrides", "width", "tolerance"),
    [
        ([], 5, 5),
        (FOLDER, 0.02, 0.0075),
        ([*FOLDER, "data.boundary.width=3"], 3, 0.0075),
        ([*FOLDER, "metric=biou", "metric.width=4"], 4, 0.0075),
        ([*FOLDER, "metric=bf1", "metric.tolerance=0.1"], 0.02, 0.1),
        *slow([([*FOLDER, "metric=biou"], 0.02, 0.0075), ([*FOLDER, "metric=miou+biou"], 0.02, 0.0075)]),
    ],
)
def test_boundaries_of_all_six_metrics_reach_as_far_as_the_data_say(overrides, width, tolerance):
    metrics = module_of(*overrides).val_metrics
    assert metrics["biou"].formula.width == width
    assert metrics["bf1"].formula.tolerance == tolerance


@pytest.mark.parametrize("metric", ["miou+biou", "miou+bf1"])
def test_boundaries_of_a_sum_and_of_its_loss_do_so_too(metric):
    module = module_of(*FOLDER, f"metric={metric}", "loss=naive")
    for formula in (module.loss.formula, module.val_metrics[metric].formula):
        assert next(iter(formula.terms[1].options().values())) == {"miou+biou": 0.02, "miou+bf1": 0.0075}[metric]


def test_a_surrogate_has_the_extent_of_its_metric_and_a_card_its_own():
    assert module_of(*FOLDER, "metric=biou", "loss=naive").loss.formula.width == 0.02
    module = module_of(*FOLDER, "metric=biou", "loss=searched_biou")
    assert (module.loss.formula.width, module.val_metrics["biou"].formula.width) == (6, 0.02)


@pytest.mark.parametrize(("name", "value"), [("width", 0), ("width", 2.5), ("tolerance", "near"), ("tolerance", -1)])
def test_an_invalid_extent_is_refused(name, value):
    with pytest.raises(Exception, match=f"data.boundary.{name} must be a whole number") as caught:
        instantiate(composed("train", f"data.boundary.{name}={value}").data)
    assert isinstance(caught.value.__cause__, InputError)


@pytest.fixture
def mixed(tmp_path):
    """tmp_path/{train,val,test}/{images,masks} of images of several sizes."""
    rng = np.random.default_rng(0)
    for split, count in {"train": 8, "val": 4, "test": 2}.items():
        for k in range(count):
            size = (40 + k, 50 - 2 * k)
            for folder, picture in {
                "images": rng.integers(0, 255, (*size, 3)),
                "masks": rng.integers(0, 3, size),
            }.items():
                path = tmp_path / split / folder / f"{k}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture.astype(np.uint8)).save(path)
    return [
        "data=folder",
        f"data.root={tmp_path}",
        "data.source.classes=3",
        "data.size=32",
        "data.batch_size=4",
        "trainer.max_steps=2",
        "trainer.accelerator=cpu",
        "network.decoder_channels=16",
    ]


def test_a_training_says_and_records_the_size_of_its_scores_and_draws_at_it(command, mixed, tmp_path):
    quiet = ["trainer.enable_progress_bar=false", "test=true", "validate_every=1"]
    found = {}
    for at, text in {"masks": OWN, "input": "32x32"}.items():
        out = command("train", *mixed, *quiet, f"data.score_at={at}", f"hydra.run.dir={at}", tiny=False)
        assert f"\nscored at {text}\n" in out
        found[at] = json.loads((tmp_path / at / "result.json").read_text())
        assert found[at]["scored_at"] == text
    assert found["masks"]["scores"] != found["input"]["scores"]
    figure.run(["predictions", "masks", "out=out.png"])
    assert (tmp_path / "out.png").stat().st_size > 5000


@pytest.mark.slow
def test_a_search_scores_its_trials_at_the_input_and_its_table_at_the_masks(command, mixed, tmp_path):
    small = ["metric=miou", "data.holdout=4", "hydra.sweeper.steps=1", "hydra.sweeper.samples=2"]
    around = [
        "hydra/sweeper=ppo",
        "hydra.sweeper.rungs=[]",
        "hydra.sweeper.finalists=0",
        "hydra.sweeper.warmup=null",
        "~hydra.sweeper.comparison.identity",
        "hydra.sweeper.comparison_common=['data.holdout=null','data.score_at=masks','test=true']",
    ]
    out = command("search", *mixed, *small, *around, "hydra.sweep.dir=found", tiny=False)
    assert "on the hold-out images, at 32x32." in out
    origin = ThetaCard.load(tmp_path / "found/theta.yaml").provenance["origin"]
    assert origin.endswith("its MeanIoU on the hold-out images, at 32x32")
    assert "Scored at the masks' own size." in " ".join(out.split())
    sizes = {path.parent.name: Result.load(path.parent).scored_at for path in (tmp_path / "found").rglob("result.json")}
    assert sizes == {"trial_000": "32x32", "trial_001": "32x32", "seed_0": OWN}


def test_a_table_of_scores_at_several_sizes_warns(tmp_path):
    def table(**sizes):
        rows = {loss: [Result({"miou": 0.5}, {}, 1.0, scored_at=size)] for loss, size in sizes.items()}
        return write_tables(tmp_path, rows, "miou")[0].caption

    assert table(dice=OWN, lovasz=OWN).endswith("Scored at the masks' own size.")
    assert table(dice="8x8", lovasz=OWN, focal="8x8").endswith(
        "NOT comparable, scored at different sizes: dice, focal at 8x8; lovasz at the masks' own size."
    )
    assert "NOT comparable" in table(dice=OWN, of_an_earlier_version=None)
    assert "NOT comparable" in (tmp_path / "comparison.md").read_text()


def test_a_result_of_an_earlier_version_is_read(tmp_path):
    (tmp_path / "result.json").write_text('{"scores": {"miou": 0.5}, "test": {}, "seconds": 1.0}')
    assert Result.load(tmp_path).scored_at is None
