"""The evidence of a run on the disk."""

import pytest
import torch
from helpers.evidence import drawn_evidence

from autosegloss.errors import InputError
from autosegloss.formulas import PAPER, resolve
from autosegloss.ranking import Evidence, load_evidence, save_evidence


def test_evidence_comes_back_from_the_disk_as_it_was(tmp_path):
    metrics = (*PAPER, "miou+bf1")
    splits = {
        "holdout": drawn_evidence(3, 0.5, seed=0, metrics=metrics),
        "val": drawn_evidence(2, 0.5, seed=1, metrics=metrics),
    }
    splits["test"] = Evidence(splits["val"].sums, None)
    save_evidence(splits, tmp_path)
    loaded = load_evidence(tmp_path)
    assert list(loaded) == list(splits)
    for name, evidence in splits.items():
        assert loaded[name].ignore_index == evidence.ignore_index
        torch.testing.assert_close(loaded[name].sums, evidence.sums, rtol=0, atol=0)
        for formula in map(resolve, metrics):
            assert loaded[name].score(formula) == evidence.score(formula)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04", b"text"])
def test_evidence_that_cannot_be_read_is_told_in_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "evidence.npz").write_bytes(content)
    with pytest.raises(
        InputError, match=r"evidence.npz cannot be read \(.*\): remove .*, so that the run is made again"
    ):
        load_evidence(tmp_path)
