"""python -m autosegloss.data check: its output, its messages and its exit code."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import miniatures
from helpers.members import slow
from PIL import Image

from autosegloss.cli.data import main
from autosegloss.data.check.checks import check_splits


def of(folder) -> list[str]:
    """The arguments for the folder of two classes that the fixture `folder` makes."""
    return ["data=folder", f"data.root={folder}", "data.source.classes=2"]


@pytest.fixture
def check(monkeypatch, tmp_path, capsys):
    """`check("data=voc")` is `python -m autosegloss.data check data=voc`; its exit code or message, and its output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # the program sets it; the fixture puts it back

    def run(*arguments: str) -> tuple[int | str, str]:
        monkeypatch.setattr(sys, "argv", ["check", "check", *arguments])
        try:
            main()
        except SystemExit as end:
            return end.code, capsys.readouterr().out
        return 0, capsys.readouterr().out

    return run


def test_sound_data_end_with_0_and_a_picture(check, tmp_path):
    miniatures.voc(tmp_path)
    miniatures.sbd(tmp_path / "SBD")
    code, out = check("data=voc", f"data.root={tmp_path}", "out=pictures/voc.png")
    assert code == 0
    assert "picture: pictures/voc.png" in out
    assert "note: train counts 4, the whole data set 10582" in out
    assert re.search(r"train +│ +4 │ +10582 │ +4 │ 6x8 +│ 0, 7, 20, 255", out)
    with Image.open(tmp_path / "pictures" / "voc.png") as drawn:
        assert drawn.size > (300, 300)


@pytest.mark.parametrize(
    ("make", "chosen"),
    [
        (miniatures.cityscapes, ["data=cityscapes"]),
        (miniatures.pets, ["data=pet"]),
        *slow([(miniatures.voc, ["data=voc", "data.source.augmented=false"])]),
    ],
)
def test_every_data_set_is_checked_with_the_root_of_its_config(check, tmp_path, make, chosen):
    make(tmp_path)
    assert check(*chosen, f"data.root={tmp_path}")[0] == 0


def test_broken_files_are_grouped_by_kind_the_rarest_first(check, folder):
    masks = folder / "train" / "masks"
    for number in range(9):
        (masks / f"frame{number}.png").write_bytes(b"broken")
    Image.new("L", (10, 8), 7).save(masks / "frame9.png")
    Image.new("L", (4, 4)).save(masks / "frame10.png")
    (folder / "val" / "images" / "frame2.png").write_bytes(b"")
    code, out = check(*of(folder))
    assert code == "error: 12 faults, see above"
    kinds = re.findall(r"fault: (.*)\n", out)
    assert kinds == [
        "images and masks that differ in size (1)",
        "labels that are no class (1)",
        "files that cannot be read (10)",
    ]
    assert out.count("cannot be read as an image") == 3
    assert "frame10.png has 4x4" in out
    assert "frame9.png: label 7 is no class: expected 0..1" in out
    assert "... and 7 more, which --all lists" in out
    assert check("--all", *of(folder))[1].count("cannot be read as an image") == 10


def two_valued(root, low, high) -> list[str]:
    """A folder of ten images whose masks hold two values, or colours; its arguments."""
    for i in range(10):
        miniatures.image(root / "images" / f"{i}.png")
        mask = Image.new("L" if isinstance(low, int) else "RGB", (8, 6), low)
        mask.paste(high, (0, 0, 4, 6))
        (root / "masks").mkdir(exist_ok=True)
        mask.save(root / "masks" / f"{i}.png")
    return ["data=folder", f"data.root={root}"]


@pytest.mark.parametrize(
    ("low", "high", "rows"),
    [
        (0, 255, ['- {name: "background", id: 0}', '- {name: "foreground", id: 255}']),
        (1, 2, ['- {name: "class 1", id: 1}', '- {name: "class 2", id: 2}']),
        (
            (0, 0, 0),
            (128, 64, 128),
            ['- {name: "black", colour: [0,0,0]}', '- {name: "#804080", colour: [128,64,128]}'],
        ),
    ],
    ids=["0 and 255", "ids from 1", "colours"],
)
def test_masks_that_need_a_table_get_one_that_makes_the_check_pass(check, tmp_path, low, high, rows):
    of_folder = two_valued(tmp_path, low, high)
    code, out = check(*of_folder, "out=found/check.png")
    assert code != 0
    proposed = (tmp_path / "found" / "check.yaml").read_text()
    assert [line.partition("  #")[0].rstrip() for line in sorted(proposed.splitlines())] == sorted(rows)
    assert (
        "proposal: found/check.yaml covers the 10 masks read; correct the names and save it as ROOT/classes.yaml" in out
    )
    (tmp_path / "classes.yaml").write_text(proposed)
    code, out = check(*of_folder)
    assert code == 0, out
    assert re.search(r"50.00 │ +100.00", out)


def test_masks_that_do_not_fit_a_number_of_classes_get_a_table_too(check, tmp_path):
    code, out = check(*two_valued(tmp_path, 0, 255), "data.source.classes=2", "out=found/check.png")
    assert code != 0
    assert "proposal: found/check.yaml covers the 10 masks read" in out


def test_ids_from_1_with_names_get_the_right_table(check, tmp_path):
    of_folder = two_valued(tmp_path, 1, 2)
    (tmp_path / "classes.txt").write_text("roof\nwall\n")
    _, out = check(*of_folder)
    assert "the ids seem to start at 1: the names are one off: set 'data.source.labels={1: 0, 2: 1}', or write" in out
    assert '- {name: "roof", id: 1}' in out
    assert check(*of_folder, "data.source.labels={1: 0, 2: 1}")[0] == 0


def test_images_in_two_splits_are_a_warning(check, folder):
    for i in range(12):
        Image.new("RGB", (10, 8), (i, 7, i)).save(folder / "train" / "images" / f"frame{i}.png")
    assert "two splits" not in check(*of(folder))[1]
    (folder / "val/images/frame0.png").write_bytes((folder / "train/images/frame1.png").read_bytes())
    code, out = check(*of(folder))
    assert re.search(r"warning: 1 image in two splits, .*: train: .*/frame1.png = val: .*/frame0.png", out)
    assert code == 0


def test_data_of_which_nothing_can_be_read_still_end_with_the_list(check, folder):
    for path in (folder / "train" / "images").iterdir():
        path.write_bytes(b"")
    for path in (folder / "val" / "images").iterdir():
        path.write_bytes(b"")
    code, out = check(*of(folder))
    assert code == "error: 15 faults, see above"
    assert "picture" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data=voc"], "error: the data's folder is not given: set data.root=ROOT; expected ROOT/"),
        (["data=shapes", "limit=0"], "error: limit must be a whole number of 1 or more, got '0'"),
        *slow(
            [
                (
                    ["data=voc", "data.root=nowhere"],
                    "error: no such folder: nowhere; set data.root=ROOT; expected ROOT/",
                ),
                (["data=nothing"], "error: unknown data 'nothing': choose one of "),
                (["data=pet", "data.source.val_fraction=2"], "error: data.source.val_fraction must be in"),
                (["data=shapes", "data.batch_size=0"], "error: data.batch_size: expected an integer of 1 or more"),
                (["data=shapes", "limit=1", "out=x.nothing"], r"error: the picture cannot be written \("),
                (["data=shapes", "data.nothing=1"], "error: unknown key 'data.nothing'"),
            ]
        ),
    ],
)
def test_a_mistake_is_one_line(check, monkeypatch, arguments, message):
    monkeypatch.delenv("VOC_ROOT", raising=False)
    code, _ = check(*arguments)
    assert re.match(message, code)
    assert "\n" not in code


def test_a_closed_pipe_ends_it_without_a_message(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.setattr(sys, "argv", ["check", "check", "data=shapes", "data.source.train=4"])
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        with pytest.raises(SystemExit) as ended:
            main()
    assert isinstance(ended.value.code, int)
    assert ended.value.code != 0
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_the_program_runs_in_any_folder(folder, tmp_path):
    (folder / "train" / "masks" / "frame0.png").write_bytes(b"")
    done = subprocess.run(
        [sys.executable, "-m", "autosegloss.data", "check", *of(folder), "limit=2"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (1, "error: 1 fault, see above\n")
    assert (tmp_path / "data_check.png").exists()


def test_the_source_of_the_page_on_data_is_sound(tmp_path):
    space = {}
    page = Path(__file__).parents[2] / "docs" / "data.md"
    exec(re.search(r"```python\n(.*?)```", page.read_text(), flags=re.S)[1], space)
    miniatures.image(tmp_path / "train" / "a_photo.jpg")
    miniatures.grey(tmp_path / "train" / "a_roofs.png", [0, 1, 128])
    train = next(check_splits(space["Roofs"](str(tmp_path))))
    assert (train.available, train.labels, train.faulty) == (1, [0, 1, 255], [])
