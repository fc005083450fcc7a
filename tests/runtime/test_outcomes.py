"""How a run ends: its outcome, returned and on disk."""

import json

import pytest
import torch
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from autosegloss.errors import DivergedError, InputError, RunError
from autosegloss.training.failures import failure_of
from autosegloss.training.outcome import FAILURE, LONGEST, RESULT, Failure, Result, discard_outcome
from autosegloss.training.run import run

GOOD, BAD = Result({"miou": 0.5}, {}, 1.0, 0.5, 0.25), Failure("diverged", "its loss is nan")


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def interrupted_by_lightning() -> SystemExit:
    error = SystemExit(1)
    error.__context__ = KeyboardInterrupt()
    return error


SMALLER = "set data.batch_size, data.eval_batch_size or trials_per_gpu lower"
FULL_GPU = (
    "CUDA out of memory. Tried to allocate 9.00 GiB. GPU 0 has a total capacity of 79.10 GiB of which 5.31 GiB is "
    "free. "
    "Including non-PyTorch memory, this process has 73.78 GiB memory in use. If reserved but unallocated memory is "
    "large try setting PYTORCH_ALLOC_CONF=expandable_segments:True to avoid fragmentation."
)
ENDINGS = [
    (KeyboardInterrupt("after 3 of 9 steps"), Failure("interrupted", "after 3 of 9 steps")),
    (interrupted_by_lightning(), Failure("interrupted", "")),
    (SystemExit("enough"), Failure("failed", "SystemExit: enough")),
    (DivergedError("its loss is nan"), Failure("diverged", "its loss is nan")),
    (RunError("the search has ended"), Failure("failed", "the search has ended")),
    (InputError("choose another"), Failure("mistake", "choose another")),
    (caused(RuntimeError("in a worker"), InputError("choose another")), Failure("mistake", "choose another")),
    (caused(InstantiationException("full_key: data"), TypeError("no number")), Failure("mistake", "data: no number")),
    # the next try may succeed
    (
        caused(InstantiationException("full_key: data"), OSError("stale\nhandle")),
        Failure("failed", "OSError: stale handle"),
    ),
    (
        caused(InstantiationException("full_key: trainer"), torch.OutOfMemoryError("all in use")),
        Failure("failed", f"all in use: {SMALLER}"),
    ),
    (torch.OutOfMemoryError(FULL_GPU), Failure("failed", f"{FULL_GPU.partition('. Including')[0]}: {SMALLER}")),
    (MemoryError(), Failure("failed", "MemoryError: ")),
    (ValueError("two\n  lines"), Failure("failed", "ValueError: two lines")),
    (ValueError("x" * 9999), Failure("failed", f"ValueError: {'x' * 9999}"[:LONGEST])),
    (InputError("x" * 9999), Failure("mistake", "x" * LONGEST)),
]


@pytest.mark.parametrize(("error", "expected"), ENDINGS)
def test_an_error_is_a_failure_of_one_kind_and_one_line(error, expected):
    assert failure_of(error) == expected


def test_an_error_that_hides_its_cause_is_not_taken_for_it():
    error = ValueError("other")
    error.__context__ = InputError("choose another")
    assert failure_of(error) == Failure("mistake", "choose another")
    error.__suppress_context__ = True  # as `raise error from None` does
    assert failure_of(error) == Failure("failed", "ValueError: other")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"data": "???"}, "data is not given: set data=VALUE"),
        ({"data": "${nothing}"}, "data: Interpolation key 'nothing' not found"),
        ({"data": "${data.x}", "x": 1}, "data: "),
    ],
)
def test_a_value_that_is_missing_or_wrong_in_the_config_is_a_mistake(config, message):
    with pytest.raises(Exception, match=r".") as raised:
        OmegaConf.create(config).data  # noqa: B018
    failure = failure_of(raised.value)
    assert failure.kind == "mistake"
    assert failure.message.startswith(message)
    assert "full_key" not in failure.message


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"seed": -1}, Failure("mistake", "seed must be a whole number of 0 or more, got -1")),
        ({"seed": "${nothing}"}, Failure("mistake", "seed: Interpolation key 'nothing' not found")),
        (
            {"seed": 0, "threads": None, "trainer": {"_target_": "helpers.acts.no_memory"}},
            Failure("failed", "MemoryError: all in use"),
        ),
    ],
)
def test_a_run_returns_its_failure_and_writes_it(tmp_path, capsys, config, expected):
    assert run(config, tmp_path) == expected
    assert json.loads((tmp_path / FAILURE).read_text()) == vars(expected)
    assert ("Traceback" in capsys.readouterr().err) == (expected.kind == "failed")


def test_a_folder_holds_the_last_outcome_alone(tmp_path):
    BAD.save(tmp_path)
    assert json.loads((tmp_path / FAILURE).read_text()) == {"kind": "diverged", "message": "its loss is nan"}
    GOOD.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [RESULT]
    assert Result.load(tmp_path) == GOOD
    BAD.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FAILURE]
    discard_outcome(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_failure_that_cannot_be_written_is_no_other_error(tmp_path):
    (tmp_path / "file").touch()
    BAD.save(tmp_path / "file")
    with pytest.raises(OSError, match="file"):
        GOOD.save(tmp_path / "file")
