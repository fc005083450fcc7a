"""Downloads: once, by one process, complete or not at all; and by torchvision from a server on this machine."""

import hashlib
import subprocess
import sys
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import IncompleteRead
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from helpers import miniatures
from torchvision.datasets import OxfordIIITPet, SBDataset
from torchvision.datasets.voc import DATASET_YEAR_DICT

from autosegloss.data import VOC, OxfordPet
from autosegloss.data.datasets.download import fetch
from autosegloss.errors import InputError


def slow_download(folder, draft):
    """A download that records its call and takes 0.2 seconds."""
    with (folder / "calls").open("a") as file:
        file.write("called\n")
    time.sleep(0.2)
    (draft / "made").mkdir()
    (draft / "made" / "file").touch()
    return draft / "made"


def ask(folder):
    target = folder / "data"
    fetch(target, (target / "file").exists, partial(slow_download, folder), "help yourself")
    assert (target / "file").exists()


def test_of_several_that_ask_one_fetches_and_the_others_wait(tmp_path):
    """Threads stand for processes: each opens the lock's file for itself, and the lock belongs to the open file."""
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(ask, [tmp_path] * 4))) == 4
    assert (tmp_path / "calls").read_text() == "called\n"
    assert not (tmp_path / ".data.download").exists()


@pytest.mark.parametrize(
    "error",
    [
        OSError("no route to host"),
        RuntimeError("File not found or corrupted."),
        IncompleteRead(b""),
        tarfile.ReadError("not a gzip file"),
        EOFError("Compressed file ended"),
    ],
)
def test_a_failure_is_one_line_with_the_remedy_and_leaves_no_data(tmp_path, error):
    def get(draft):
        raise error

    with pytest.raises(InputError, match=r"data cannot be downloaded \(.+\): help yourself") as caught:
        fetch(tmp_path / "data", lambda: False, get, "help yourself")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "data").exists()


def test_the_next_attempt_finds_the_archive_but_not_what_was_half_unpacked(tmp_path):
    def interrupted(draft):
        (draft / "made").mkdir()
        (draft / "archive.tar").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(tmp_path / "data", lambda: False, interrupted, "help yourself")
    seen = []

    def get(draft):
        seen.extend(path.name for path in draft.iterdir())
        return slow_download(tmp_path, draft)

    fetch(tmp_path / "data", lambda: False, get, "help yourself")
    assert seen == ["archive.tar"]
    assert (tmp_path / "data" / "file").exists()


def test_incomplete_data_in_the_way_are_not_touched(tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(InputError, match="data is there, but not as it should be: move it away or complete it; help"):
        fetch(tmp_path / "data", lambda: False, partial(slow_download, tmp_path), "help yourself")
    assert not (tmp_path / "calls").exists()


def test_a_mistake_of_the_user_keeps_its_own_line(tmp_path):
    def get(draft):
        raise InputError("something else")

    with pytest.raises(InputError, match=r"^something else$"):
        fetch(tmp_path / "data", lambda: False, get, "help yourself")


@pytest.mark.slow
def test_the_data_import_where_there_is_no_fcntl():
    """As on Windows; filelock warns that it then locks by the existence of a file."""
    script = "import sys; sys.modules['fcntl'] = None; import autosegloss.data"
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def host(tmp_path, monkeypatch):
    """`host("a.tar", folder)`: the URL and the checksum of an archive of the folder's content, on this machine."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    served = tmp_path / "served"
    served.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=served))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def serve(name: str, *content: Path) -> tuple[str, str]:
        with tarfile.open(served / name, "w" if name.endswith(".tar") else "w:gz") as archive:
            for path in content:
                archive.add(path, path.name)
        checksum = hashlib.md5((served / name).read_bytes()).hexdigest()
        return f"http://127.0.0.1:{server.server_port}/{name}", checksum

    yield serve
    server.shutdown()
    server.server_close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # how torchvision unpacks, in some versions of Python
def test_voc_and_sbd_come_from_their_archives(tmp_path, host, monkeypatch):
    miniatures.voc(tmp_path / "made")
    miniatures.sbd(tmp_path / "made" / "benchmark_RELEASE" / "dataset")
    for name, value in zip(("url", "md5"), host("voc.tar", tmp_path / "made/VOCdevkit"), strict=True):
        monkeypatch.setitem(DATASET_YEAR_DICT["2012"], name, value)
    for name, value in zip(("url", "md5"), host("benchmark.tgz", tmp_path / "made/benchmark_RELEASE"), strict=True):
        monkeypatch.setattr(SBDataset, name, value)
    source = VOC(tmp_path / "data", download=True)
    assert [len(source.samples(split)) for split in ("train", "val")] == [4, 1]
    assert source.samples("train")[-1].load()[1].unique().tolist() == [0, 7]
    visible = sorted(path.name for path in (tmp_path / "data").iterdir() if not path.name.startswith("."))
    assert visible == ["SBD", "VOCdevkit"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_pets_come_from_their_archives(tmp_path, host, monkeypatch):
    made = miniatures.pets(tmp_path / "made")
    resources = [host(f"{part}.tar.gz", made / part) for part in ("images", "annotations")]
    monkeypatch.setattr(OxfordIIITPet, "_RESOURCES", resources)
    assert len(OxfordPet(tmp_path / "data", download=True).samples("test")) == 2


def test_a_wrong_checksum_is_told(tmp_path, host, monkeypatch):
    made = miniatures.pets(tmp_path / "made")
    monkeypatch.setattr(OxfordIIITPet, "_RESOURCES", [(host("images.tar.gz", made / "images")[0], "0" * 32)])
    with pytest.raises(InputError, match=r"oxford-iiit-pet cannot be downloaded \(File not found or corrupted.\)"):
        OxfordPet(tmp_path / "data", download=True).samples("test")
