"""The tables of the paper from run folders: the pages, and which runs fill a row."""

import csv
import io
import math
import statistics

import pytest
from helpers.run_folders import SIX, filled, page, write_card, write_run
from rich.console import Console

from autosegloss.formulas import PAPER
from autosegloss.report.cell import Cell
from autosegloss.report.page import Page
from autosegloss.report.paper import tables

# --- the pages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", tables())
def test_every_table_is_drawn_without_runs(name):
    empty = page(name)
    assert filled(name) == {}
    assert empty.markdown().startswith(f"# {empty.title}\n\n## ")
    assert empty.notes


def test_hours_have_one_digit_as_in_the_paper():
    lines = [line.replace(" ", "") for line in page("6").markdown().splitlines()]
    known = "33.0", "17.1", "13.3", "8.5"
    assert all(any(f"|{hours}|8" in line for line in lines) for hours in known)


_LABELS = {"miou": "mIoU", "fwiou": "FWIoU", "biou": "BIoU", "bf1": "BF1", "macc": "mAcc", "gacc": "gAcc"}
SCORES = [name for name in tables() if name.isdigit()]


def published(table, source):
    """{(section, row): {column: number}} of the rows that have numbers of a source."""
    cells = {(section, row): cells for section, rows in page(table).sections.items() for row, cells in rows.items()}
    numbers = {
        row: {column: cell.published[source] for column, cell in by_column.items() if source in cell.published}
        for row, by_column in cells.items()
    }
    return {row: by_column for row, by_column in numbers.items() if by_column}


@pytest.mark.parametrize("table", SCORES)
def test_the_paper_has_a_number_for_every_row_and_column(table):
    known = published(table, "paper")
    assert [*known] == [(section, row) for section, rows in page(table).sections.items() for row in rows]
    for numbers in known.values():
        assert [*numbers] == page(table).columns
        assert all(number == "Fail" or (isinstance(number, float) and 0 < number < 100) for number in numbers.values())


@pytest.mark.parametrize("source", ["paper", "release"])
@pytest.mark.parametrize("table", SCORES)
def test_no_accuracy_is_below_its_iou_but_in_the_row_that_a_note_corrects(table, source):
    """An IoU never exceeds the recall of its class: FWIoU <= gAcc, mIoU <= mAcc."""
    wrong = [
        row
        for (_, row), numbers in published(table, source).items()
        for iou, accuracy in (("fwiou", "gacc"), ("miou", "macc"))
        if iou in numbers and accuracy in numbers and numbers[iou] > numbers[accuracy]
    ]
    assert wrong == (["Searched for BIoU"] if (table, source) == ("2", "paper") else [])


@pytest.mark.parametrize("table", ["3", "4", "7"])
def test_a_training_that_is_in_two_tables_has_one_number(table):
    """Those with cross-entropy and other hand-made losses, and the release's with DeepLabv3+ ResNet-101 on VOC."""
    second = {("release", row): numbers for (_, row), numbers in published("2", "release").items()}
    second |= {
        ("paper", section, row): numbers
        for (section, row), numbers in published("2", "paper").items()
        if not row.startswith("Searched")
    }
    place = {"Found on PASCAL VOC, trained on Cityscapes": "Cityscapes"}
    compared = [(numbers, second["release", row]) for (_, row), numbers in published(table, "release").items()]
    for (section, row), numbers in published(table, "paper").items():
        if not row.startswith("Searched") and (table != "4" or section == "DeepLabv3+ ResNet-101"):
            compared.append((numbers, second["paper", place.get(section, "PASCAL VOC"), row]))
    assert len(compared) > 2
    assert all(numbers.items() <= others.items() for numbers, others in compared)


def test_the_release_has_numbers_for_table_2_on_voc():
    rows = published("2", "release")
    assert [row for _, row in rows] == ["Cross-entropy", *(f"Searched for {label}" for label in _LABELS.values())]
    assert {len(numbers) for numbers in rows.values()} == {6}
    assert {section for section, _ in rows} == {"PASCAL VOC"}


def test_cells_in_which_paper_and_release_differ_are_named():
    (note,) = (note for note in page("2").notes if note.startswith("Paper and release disagree"))
    assert "Searched for BIoU (PASCAL VOC): macc, gacc" in note
    assert "Searched for mIoU" not in note
    paper, release = (published("2", source)["PASCAL VOC", "Searched for BIoU"] for source in ("paper", "release"))
    assert (paper["macc"], paper["gacc"]) == (release["gacc"], release["macc"])


# --- their marks ---------------------------------------------------------------------------------------------------

PAIR = {"a": {"miou": Cell(published={"paper": 80.97}, target=True)}, "b": {"miou": Cell(published={"paper": 80.67})}}


@pytest.mark.parametrize("section", ["PASCAL VOC", "Cityscapes"])
def test_a_loss_searched_for_one_metric_is_the_best_for_it_in_the_paper(section):
    rows = page("2").sections[section]
    for name, label in _LABELS.items():
        assert [column for column, cell in rows[f"Searched for {label}"].items() if cell.target] == [name]
        assert f"<u>**{rows[f'Searched for {label}'][name].text(2, 'paper')}**</u>" in page("2").markdown()


@pytest.mark.parametrize(("number", "marked"), [(80.67, True), (80.66, False), ("Fail", False), (None, False)])
def test_the_best_is_bold_and_what_is_near_it(number, marked):
    rows = {**PAIR, "b": {"miou": Cell(published={"paper": number})}}
    table = Page("T", ["miou"], {"S": rows}, [], best_within=0.3).markdown()
    assert (f"**{number}**" in table) == marked
    assert ("<u>**80.97**</u>" in table) == isinstance(number, float)  # one number alone is no best


def test_marks_are_drawn_in_a_terminal_and_in_html():
    drawn = Page("T", ["miou"], {"S": PAIR}, ["one", "two"], best_within=0.3)
    assert "<td><b><u>80.97</u></b></td>" in drawn.html()
    assert "<td><b>80.67</b></td>" in drawn.html()
    assert "<p>two</p>" in drawn.html()
    stream = io.StringIO()
    Console(file=stream, force_terminal=True, width=80, color_system="standard").print(drawn)
    assert "\x1b[1;4m80.97\x1b[0m" in stream.getvalue()
    assert "\x1b[1m80.67\x1b[0m" in stream.getvalue()


def test_markdown_has_a_line_a_source(tmp_path):
    write_run(tmp_path / "a", scores={"miou": 0.5})
    write_run(tmp_path / "b", scores={"miou": 0.51}, seed=1)
    lines = page("4", tmp_path).markdown().splitlines()
    start = lines.index("## DeepLabv3+ ResNet-101") + 2
    titles = [[text.strip() for text in line.split("|")[1:4]] for line in (lines[start], *lines[start + 2 :])]
    assert titles[:4] == [
        ["", "numbers", "n"],
        ["Cross-entropy", "paper", ""],
        ["", "release", ""],
        ["", "ours", "0-2"],
    ]
    assert lines[start + 4].split("|")[4].strip() == "50.50 ± 0.71"
    assert len({len(line) for line in lines[start : start + 5]}) == 1


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
    assert 0 < float(dice["paper"]) < 100
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
    transfer = "Found on PASCAL VOC, trained on Cityscapes"
    assert list(filled("2", tmp_path)) == [("PASCAL VOC", row)]
    assert list(filled("3", tmp_path)) == ([(transfer, row)] if row in page("3").sections[transfer] else [])


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
    values = "provenance.data.size", "provenance.search.trial_max_steps", "provenance.network.encoder_name"
    cards = {
        "both": {},
        "values": {"curve": {**both, "monotone": False}},
        "rising": {"curve": {**both, "truth_table": False}},
        "free": {"curve": {**both, "monotone": False, "truth_table": False}},
        "large": {"values": {values[0]: [256, 256]}},
        "long": {"values": {values[1]: 2000}},
        "deep": {"values": {values[2]: "resnet101"}},
        "linear": {"curve": {"name": "linear", "pieces": 5, "scale": 1.0}, "metric": "gacc"},
        "four": {"curve": {"name": "linear", "pieces": 4, "scale": 1.0}},
        "drawn": {"values": {"provenance.search.strategy._target_": "autosegloss.search.RandomSearch"}},
    }
    for name, options in cards.items():
        write_run(tmp_path / f"{name}_run", loss="searched", theta=write_card(tmp_path / f"{name}.yaml", **options))
    write_run(tmp_path / "naive", loss="naive")
    write_run(tmp_path / "released", loss="searched_miou", theta="miou")
    assert [row for _, row in filled("5", tmp_path)] == [*page("5").sections["PASCAL VOC"]]
    assert [row for _, row in filled("6", tmp_path)] == [*page("6").sections["PASCAL VOC"]]
    assert list(filled("7", tmp_path)) == [("PASCAL VOC", "Searched for gAcc")]
