"""The tables of the paper from run folders: the pages, and which runs fill a row."""

import csv
import io
import math
import statistics

import pytest
from helpers.members import CONF
from helpers.run_folders import SIX, filled, page, write_card, write_run
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from autosegloss.formulas import PAPER
from autosegloss.report.cell import Cell
from autosegloss.report.paper import tables
from autosegloss.training.outcome import Result

# --- the pages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", tables())
def test_every_table_is_drawn_without_runs(name):
    empty = page(name)
    assert filled(name) == {}
    assert empty.markdown().startswith(f"# {empty.title}\n\n## ")
    assert empty.notes
    assert "`paper:`" not in empty.markdown()


def test_the_numbers_of_the_release_stand_beside_ours(tmp_path):
    write_run(tmp_path / "run")
    cells = filled("2", tmp_path)["PASCAL VOC", "Cross-entropy"]
    published = {"miou": 78.69, "fwiou": 91.31, "macc": 87.31, "gacc": 95.17, "biou": 70.61, "bf1": 65.30}
    assert {name: cell.release for name, cell in cells.items()} == published
    assert {name: cell.mean for name, cell in cells.items()} == pytest.approx({k: 100 * v for k, v in SIX.items()})
    own = page("2").sections["PASCAL VOC"]
    diagonal = {name: own[f"Searched for {label}"][name].release for name, label in _LABELS.items()}
    assert diagonal == {"miou": 80.97, "fwiou": 91.93, "macc": 92.95, "gacc": 95.22, "biou": 79.27, "bf1": 74.83}


_LABELS = {"miou": "mIoU", "fwiou": "FWIoU", "biou": "BIoU", "bf1": "BF1", "macc": "mAcc", "gacc": "gAcc"}


def test_only_numbers_that_the_release_states_are_claimed():
    known = {}
    for name in tables():
        for section, rows in page(name).sections.items():
            for row, cells in rows.items():
                known |= {
                    (name, section, row, c): cell.release for c, cell in cells.items() if cell.release is not None
                }
    places = {key[:2] for key in known}
    assert places == {("2", "PASCAL VOC"), ("4", "DeepLabv3+ ResNet-101")}
    assert len(known) == 7 * 6 + 3 * 2
    for (table, _, row, column), number in known.items():
        assert table == "2" or number == known["2", "PASCAL VOC", row, column]


def test_markdown_is_aligned_and_ours_stands_before_the_releases(tmp_path):
    write_run(tmp_path / "a", scores={"miou": 0.5})
    write_run(tmp_path / "b", scores={"miou": 0.51}, seed=1)
    lines = page("4", tmp_path).markdown().splitlines()
    start = lines.index("## DeepLabv3+ ResNet-101") + 2
    assert lines[start : start + 3] == [
        "|                   |    n |         miou | release |  bf1 | release |",
        "| ----------------- | ---: | -----------: | ------: | ---: | ------: |",
        "| Cross-entropy     |  0-2 | 50.50 ± 0.71 |   78.69 |      |   65.30 |",
    ]


def test_csv_has_a_line_a_cell(tmp_path):
    for seed, score in enumerate((0.5, 0.6, 0.7)):
        write_run(tmp_path / str(seed), loss="dice", scores={**SIX, "miou": score}, seed=seed)
    lines = list(csv.DictReader(io.StringIO(page("2", tmp_path).csv())))
    assert len(lines) == 2 * 14 * 6
    dice = next(
        line for line in lines if (line["section"], line["row"], line["column"]) == ("PASCAL VOC", "Dice", "miou")
    )
    assert dice["n"] == "3"
    assert float(dice["ours"]) == pytest.approx(60, abs=1e-3)
    assert float(dice["std"]) == pytest.approx(statistics.stdev([50, 60, 70]), abs=1e-3)
    assert dice["release"] == ""


def test_a_cell_is_empty_where_nothing_is_defined():
    assert Cell.of([]).text(2) == Cell.of([math.nan, None]).text(2) == ""
    assert Cell.of([0.5, math.nan]).text(2) == "50.00"


# --- runs that fill a row ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["cross_entropy", "wce", "dpce", "ssim", "dice", "lovasz"])
def test_a_hand_made_loss_has_one_row_a_data_set(tmp_path, loss):
    write_run(tmp_path / "voc", loss=loss)
    write_run(tmp_path / "city", loss=loss, data="cityscapes_full")
    rows = filled("2", tmp_path)
    assert [section for section, _ in rows] == ["PASCAL VOC", "Cityscapes"]
    assert len({row for _, row in rows}) == 1


@pytest.mark.parametrize("metric", PAPER)
def test_a_shipped_card_was_found_on_voc(tmp_path, metric):
    write_run(tmp_path / "voc", loss=f"searched_{metric}", theta=metric)
    write_run(tmp_path / "city", loss=f"searched_{metric}", theta=metric, data="cityscapes_full")
    row = f"Searched for {_LABELS[metric]}"
    assert list(filled("2", tmp_path)) == [("PASCAL VOC", row)]
    assert list(filled("3", tmp_path)) == [("Found on PASCAL VOC, trained on Cityscapes", row)]


def test_a_card_of_ones_own_counts_by_the_data_of_its_search(tmp_path):
    write_card(tmp_path / "cards/theta.yaml", "bf1", source="Cityscapes")
    write_run(tmp_path / "voc", loss="searched", theta="cards/theta.yaml")
    write_run(tmp_path / "city", loss="searched", theta=str(tmp_path / "cards/theta.yaml"), data="cityscapes_full")
    assert list(filled("2", tmp_path)) == [("Cityscapes", "Searched for BF1")]
    assert list(filled("3", tmp_path)) == [("Found on Cityscapes, trained on PASCAL VOC", "Searched for BF1")]


def test_a_sum_of_losses_has_a_row_of_its_own(tmp_path):
    write_run(tmp_path / "biou", loss="searched_miou_biou", theta=["miou", "biou"])
    write_run(tmp_path / "bf1", loss="searched_miou_bf1", theta=["miou", "bf1"], seed=1)
    assert [row for _, row in filled("2", tmp_path)] == ["Searched for mIoU + BIoU", "Searched for mIoU + BF1"]


def test_networks_have_their_sections(tmp_path):
    for network in ("deeplabv3plus_r50", "deeplabv3plus_r101", "pspnet_r101", "hrnetv2_w48", "tiny"):
        write_run(tmp_path / network, network=network, loss="searched_bf1", theta="bf1")
    rows = filled("4", tmp_path)
    assert [row for _, row in rows] == ["Searched for BF1"] * 4
    assert len({section for section, _ in rows}) == 4


def test_constraints_and_proxy_tasks_are_read_from_the_card(tmp_path):
    both = {"name": "bezier", "pieces": 2, "truth_table": True, "monotone": True}
    cards = {
        "both": {},
        "values": {"curve": {**both, "monotone": False}},
        "rising": {"curve": {**both, "truth_table": False}},
        "free": {"curve": {**both, "monotone": False, "truth_table": False}},
        "large": {"values": {"provenance.data.size": [256, 256]}},
        "long": {"values": {"provenance.data.size": [512, 512], "provenance.search.trial_max_steps": 2000}},
        "linear": {"curve": {"name": "linear", "pieces": 5, "scale": 1.0}, "metric": "gacc"},
        "drawn": {"values": {"provenance.search.strategy._target_": "autosegloss.search.RandomSearch"}},
    }
    for name, options in cards.items():
        write_run(tmp_path / f"{name}_run", loss="searched", theta=write_card(tmp_path / f"{name}.yaml", **options))
    write_run(tmp_path / "naive", loss="naive")
    write_run(tmp_path / "released", loss="searched_miou", theta="miou")
    constraints = [
        "No search (not bent)",
        "Both constraints",
        "Truth table only",
        "Monotone only",
        "Neither constraint",
    ]
    assert [row for _, row in filled("5", tmp_path)] == constraints
    proxies = ["128x128, 1000 iterations", "256x256, 1000 iterations", "512x512, 2000 iterations"]
    assert [row for _, row in filled("6", tmp_path)] == proxies
    curves = [("Bézier", "Searched for mIoU"), ("Piecewise linear", "Searched for gAcc")]
    assert list(filled("7", tmp_path)) == curves


@pytest.mark.slow
def test_every_row_of_table_2_has_a_training_of_the_experiments(tmp_path):
    """Composed from the configuration as train.py does it, not trained."""
    parts = ("seed", "task", "loss", "metric", "network", "data", "trainer")
    losses = ["cross_entropy", "wce", "dpce", "ssim", "dice", "lovasz", *(f"searched_{metric}" for metric in PAPER)]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for loss in [*losses, "searched_miou_biou", "searched_miou_bf1"]:
            cfg = compose("train", ["experiment=table2_voc", f"loss={loss}"], return_hydra_config=True)
            folder = tmp_path / loss / ".hydra"
            folder.mkdir(parents=True)
            cfg.hydra.runtime.cwd = str(tmp_path)
            runtime = {"choices": dict(cfg.hydra.runtime.choices), "cwd": str(tmp_path)}
            OmegaConf.save({"hydra": {"runtime": runtime}}, folder / "hydra.yaml")
            OmegaConf.save({key: cfg[key] for key in parts}, folder / "config.yaml")
            Result(SIX, {}, 1.0).save(folder.parent)
    assert len(filled("2", tmp_path)) == 14
