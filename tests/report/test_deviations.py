"""Runs and cards with other settings fill no row of a table; the page lists each with its settings."""

import pytest
from helpers.run_folders import filled, page, write_card, write_run

SIZE, STRATEGY = "provenance.data.size", "provenance.search.strategy._target_"


def deviating(table, folder):
    """The notes on runs that a row leaves out for their settings."""
    notes = [note for note in page(table, folder).notes if note.startswith("deviates, ")]
    return [line for note in notes for line in note.splitlines()[1:]]


@pytest.mark.parametrize("data", ["voc_full", "cityscapes_full"])
@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("trainer.max_steps", 1, "is 1, not "),
        ("data.crop", [32, 32], "is [32, 32], not [512, "),
        ("data.holdout", 100, "is 100, not null"),
        ("network.encoder_name", "resnet18", "is resnet18, not resnet101"),
        ("network.encoder_weights", None, "is null, not imagenet"),
        ("network.encoder_output_stride", 16, "is 16, not 8"),
        ("metric.tolerance", 3, "is 3, not 5"),
        ("data.boundary.width", 0.02, "is 0.02, not 5"),
    ],
)
def test_a_training_with_other_settings_fills_no_row(tmp_path, data, key, value, words):
    write_run(tmp_path / "run", data=data, metric="bf1", values={key: value})
    for table in ("2", "3"):
        assert filled(table, tmp_path) == {}
        (line,) = deviating(table, tmp_path)
        assert f"): {key} {words}" in line


@pytest.mark.parametrize("network", ["deeplabv3plus_r50", "deeplabv3plus_r101", "pspnet_r101", "hrnetv2_w48"])
def test_a_network_of_another_size_fills_no_row(tmp_path, network):
    write_run(tmp_path / "run", network=network, values={"network.encoder_name": "resnet18"})
    assert filled("4", tmp_path) == {}
    assert len(deviating("4", tmp_path)) == 1


@pytest.mark.parametrize("metric", ["bf1", "biou", "miou"])
def test_a_training_with_any_metric_in_front_fills_its_row(tmp_path, metric):
    write_run(tmp_path / "run", metric=metric)
    assert list(filled("2", tmp_path)) == [("PASCAL VOC", "Cross-entropy")]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("curve.name", "linear"),
        ("curve.pieces", 3),
        ("curve.truth_table", False),
        ("curve.monotone", False),
        (SIZE, [256, 256]),
        (STRATEGY, "autosegloss.search.RandomSearch"),
        ("provenance.search.strategy.epsilon", 0.2),
        ("provenance.search.strategy.updates", 10),
        ("provenance.search.sigma", 0.3),
        ("provenance.search.trial_max_steps", 2000),
        ("provenance.search.steps", 2),
        ("provenance.search.samples", 4),
        ("provenance.network.encoder_name", "resnet18"),
    ],
)
def test_a_card_of_another_search_fills_no_row_of_table_2(tmp_path, key, value):
    write_run(tmp_path / "0", loss="searched", theta=write_card(tmp_path / "cards/other.yaml", values={key: value}))
    write_run(tmp_path / "1", loss="searched", theta=write_card(tmp_path / "cards/real.yaml"), seed=1)
    write_run(tmp_path / "2", loss="searched_miou", theta="miou", seed=2)  # a released card has less provenance
    assert filled("2", tmp_path)["PASCAL VOC", "Searched for mIoU"]["miou"].count == 2
    (line,) = deviating("2", tmp_path)
    assert f"): card of miou: {key} is " in line


def test_a_card_deviates_from_the_row_that_it_is_nearest_to(tmp_path):
    values = {"curve.monotone": False, SIZE: [256, 256]}
    write_run(tmp_path / "run", loss="searched", theta=write_card(tmp_path / "cards/theta.yaml", values=values))
    (line,) = deviating("5", tmp_path)
    assert line.endswith(f"): card of miou: {SIZE} is [256, 256], not [128, 128]")


@pytest.mark.parametrize(
    ("loss", "theta", "weights", "words"),
    [
        ("searched_miou_biou", ["miou", "biou"], [1, 3], "loss.weights is [1, 3], not [1, 1]"),
        ("mine", ["miou"], [2], "loss.weights is [2], not null"),
        ("wce", None, [1, 2], "loss.weights is [1, 2], not null"),
    ],
)
def test_losses_that_are_weighted_otherwise_fill_no_row(tmp_path, loss, theta, weights, words):
    write_run(tmp_path / "run", loss=loss, theta=theta, values={"loss.weights": weights})
    assert filled("2", tmp_path) == {}
    (line,) = deviating("2", tmp_path)
    assert line.endswith(f"): {words}")


def test_a_naive_surrogate_with_a_theta_is_bent(tmp_path):
    write_run(tmp_path / "run", loss="naive", theta="gone.yaml")
    assert filled("5", tmp_path) == {}
    (line,) = deviating("5", tmp_path)
    assert line.endswith("its theta card is gone): loss.theta is gone.yaml, not null")
