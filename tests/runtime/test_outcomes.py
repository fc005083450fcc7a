"""How a training ended, as a worker tells it."""

import pytest
import torch
from hydra.errors import InstantiationException

from autosegloss.errors import DivergedError, InputError
from autosegloss.runtime import train as _train


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


ENDINGS = [
    (None, ("ok", "")),
    (KeyboardInterrupt("after 3 of 9 steps"), ("interrupted", "after 3 of 9 steps")),
    (DivergedError("its loss is nan"), ("diverged", "its loss is nan")),
    (InputError("choose another"), ("mistake", "choose another")),
    (caused(RuntimeError("in a worker"), InputError("choose another")), ("mistake", "choose another")),
    (caused(InstantiationException("full_key: data"), TypeError("no number")), ("mistake", "data: no number")),
    # what may go better the next time
    (caused(InstantiationException("full_key: data"), OSError("stale\nhandle")), ("failed", "OSError: stale handle")),
    (
        caused(InstantiationException("full_key: trainer"), torch.OutOfMemoryError("all in use")),
        ("failed", "OutOfMemoryError: all in use"),
    ),
    (MemoryError(), ("failed", "MemoryError: ")),
    (ValueError("two\n  lines"), ("failed", "ValueError: two lines")),
]


@pytest.mark.parametrize(("error", "expected"), ENDINGS)
def test_a_training_ends_in_one_of_five_ways_and_says_why(monkeypatch, tmp_path, capsys, error, expected):
    def run(cfg, directory):
        assert (cfg.seed, directory) == (7, str(tmp_path))
        if error:
            raise error

    monkeypatch.setattr(_train.training, "run", run)
    assert _train.train({"seed": 7}, str(tmp_path)) == expected
    assert ("Traceback" in capsys.readouterr().err) == (expected[0] == "failed")


def test_a_missing_value_is_a_mistake(monkeypatch):
    monkeypatch.setattr(_train.training, "run", lambda cfg, _: cfg.data)
    assert _train.train({"data": "???"}, "") == ("mistake", "data is not given: set data=VALUE")
