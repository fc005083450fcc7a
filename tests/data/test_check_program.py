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

from autosegloss.cli.data import compose_source, main
from autosegloss.data.check.checks import check_splits
from autosegloss.data.check.tables import faults


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
    ("name", "make"), [("voc", miniatures.voc), ("cityscapes", miniatures.cityscapes), ("pet", miniatures.pets)]
)
def test_every_data_set_is_checked_with_the_root_of_its_config(check, tmp_path, name, make):
    make(tmp_path)
    augmented = ["data.source.augmented=false"] if name == "voc" else []
    assert check(f"data={name}", f"data.root={tmp_path}", *augmented)[0] == 0


def test_broken_files_are_all_counted_and_ten_are_named(check, folder):
    masks = folder / "train" / "masks"
    for number in range(9):
        (masks / f"frame{number}.png").write_bytes(b"broken")
    Image.new("L", (10, 8), 7).save(masks / "frame9.png")
    Image.new("L", (4, 4)).save(masks / "frame10.png")
    (folder / "val" / "images" / "frame2.png").write_bytes(b"")
    code, out = check(*of(folder))
    assert code == "error: 12 faults, see above"
    assert out.count("cannot be read as an image") == 9
    assert "fault: train: " in out
    assert "frame9.png: label 7 is no class: expected 0..1" in out
    assert "... and 2 more" in out
    [size] = [fault for fault in faults(list(check_splits(compose_source(of(folder))))) if "differ in size" in fault]
    assert "frame10.png has 4x4" in size


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
                (["data=shapes", "data.nothing=1"], "error: Could not override 'data.nothing'"),
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
    assert (train.available, train.labels, train.faults) == (1, [0, 1, 255], [])
