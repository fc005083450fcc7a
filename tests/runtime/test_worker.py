"""The requests and the environment of a worker, and where its output goes."""

import json
import os
import re
import sys

import pytest
from runtime.conftest import alive

from autosegloss.training.outcome import Failure, Result


def test_what_was_printed_before_a_sudden_end_is_in_the_log(lab):
    lab.crew().train(lab.request("print('almost done')\nimport ctypes; ctypes.string_at(0)"))
    assert "almost done\nFatal Python error: Segmentation fault" in lab.log()


def test_nothing_that_a_launcher_says_of_ranks_reaches_the_workers(lab, monkeypatch):
    foreign = ["RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_PORT"]
    foreign += ["SLURM_PROCID", "SLURM_NTASKS", "SUBMITIT_EXECUTOR", "TORCHELASTIC_RUN_ID", "JSM_NAMESPACE_RANK"]
    for name in foreign:
        monkeypatch.setenv(name, "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    show = lab.request("import json; print(json.dumps(dict(os.environ)))")
    lab.crew().train(show)
    found = json.loads(lab.log())
    assert found["CUDA_VISIBLE_DEVICES"] == "7"
    assert not set(foreign) & set(found)
    lab.crew(2).train(show._replace(folder=str(lab.runs / "two")))
    found = [json.loads(lab.log("two", rank)) for rank in (0, 1)]
    assert [env["RANK"] for env in found] == [env["LOCAL_RANK"] for env in found] == ["0", "1"]
    assert {env["WORLD_SIZE"] for env in found} == {"2"}
    assert len({env["MASTER_PORT"] for env in found} - {"7"}) == 1


def test_messages_may_be_of_any_size_and_kind(lab):
    crew = lab.crew()
    config = {"text": "lösen 損失 \n" * 200_000, "by number": {1: None, 2: float("inf")}}
    crew.train(lab.request("print(len(config['text']), config['by number'][1])", **config))
    assert lab.log() == f"{len(config['text'])} None\n"
    long = crew.train(lab.request("outcome = Failure('diverged', 'x' * 1_000_000)"))
    assert long == Failure("diverged", "x" * 1_000_000)


def test_a_log_that_cannot_be_written_is_named(lab):
    (lab.runs / "file").touch()
    for before in ([], ["run"]):  # the first training of a crew, and a later one
        crew = lab.crew()
        for run in before:
            crew.train(lab.request("", run))
        assert re.match(r"NotADirectoryError: .*/file/run", crew.train(lab.request("", "file/run")).message)
        assert not alive(crew.pids[0])


def test_imports_that_fail_are_named_and_shown_in_the_log(lab):
    (lab.package / "training/run.py").write_text("import no_such_module")
    missing = Failure("failed", "ModuleNotFoundError: No module named 'no_such_module'")
    assert lab.crew().train(lab.request("")) == missing
    assert "Traceback" in lab.log()
    (lab.package / "__init__.py").write_text("raise SystemExit(5)")
    assert "ended with exit code 5" in lab.crew().train(lab.request("")).message


def test_imports_that_never_end_are_waited_for_so_long_and_not_counted_as_training(lab):
    module = lab.package / "training/run.py"
    module.write_text(f"import time; time.sleep(1)\n{module.read_text()}")
    assert isinstance(lab.crew().train(lab.request(""), timeout=0.9), Result)
    late = lab.crew(startup=0.2).train(lab.request(""))
    assert late == Failure("failed", "the processes did not start after 0.2 seconds")


def test_a_program_that_cannot_be_started_leaves_nothing_open(lab, monkeypatch):
    def open_files():
        return len(os.listdir("/proc/self/fd"))

    before = open_files()
    for size in (1, 2):
        crew = lab.crew(size)
        crew.train(lab.request(""))
        crew.close()
        crew.close()  # again does nothing
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(FileNotFoundError):
        lab.crew(2)
    assert open_files() == before


def test_output_goes_to_the_console_where_that_is_wanted(lab, capfd):
    crew = lab.crew(2)
    crew.train(lab.request("print('to the log')", "one"))
    crew.train(lab.request("print('to the console of', os.environ['RANK'])", "two", console=True))
    crew.train(lab.request("print('to the log')", "three"))
    assert capfd.readouterr().out == "to the console of 0\n"
    assert lab.log("two", rank=1) == "to the console of 1\n"
    assert lab.log("three") == lab.log("one") == "to the log\n"


def test_workers_follow_to_the_folder_and_know_the_modules_of_who_sends_the_work(lab, monkeypatch):
    (lab.runs / "own").mkdir()
    (lab.runs / "own/module_of_the_user.py").touch()
    crew = lab.crew()
    crew.train(lab.request(""))
    monkeypatch.chdir(lab.runs / "own")
    monkeypatch.syspath_prepend(str(lab.runs / "own"))
    crew.train(lab.request("import module_of_the_user; print(os.getcwd())")._replace(folder="here"))
    assert (lab.runs / "own/here/run.log").read_text() == f"{lab.runs}/own\n"


def test_a_training_that_asks_for_input_takes_no_message_of_ours(lab):
    crew = lab.crew()
    assert crew.train(lab.request("input()")).message.startswith("EOFError: ")
