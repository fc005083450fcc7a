"""Predictions of images: whole, in windows, of the mirror image, at the size of the image."""

import pytest
import torch
from helpers.trained_runs import write_trained
from torch import nn

from autosegloss.data.memory import Resize
from autosegloss.data.transforms import normalise
from autosegloss.errors import InputError
from autosegloss.evaluation.decode import decoder, rankseg
from autosegloss.evaluation.judging import network_predictions
from autosegloss.evaluation.prediction import Predictor, scaled_labels, sliding_logits
from autosegloss.tasks.multiclass import Multiclass
from autosegloss.training.module import predicted
from autosegloss.training.trained import TrainedRun

CPU = torch.device("cpu")
POINTWISE = nn.Conv2d(3, 5, 1).requires_grad_(False)


def image(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(256, (3, height, width), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


@pytest.mark.parametrize("size", [(70, 100), (40, 33), (64, 64), (20, 90)])
@pytest.mark.parametrize("overlap", [0, 0.3, 0.5, 0.9])
def test_windows_of_a_network_that_sees_one_pixel_are_the_whole_image(size, overlap):
    torch.manual_seed(0)
    whole = Predictor(POINTWISE, CPU)(image(*size))
    assert torch.equal(Predictor(POINTWISE, CPU, window=32, overlap=overlap)(image(*size)), whole)
    assert torch.equal(whole, POINTWISE(normalise(image(*size)[None]))[0].argmax(0).to(torch.uint8))


def test_overlapping_windows_are_averaged_with_weights_that_fall_to_their_edges():
    """Two windows of 4 columns at 0 and 2; each says its number. Weights 1 2 2 1 a column, in quarters twice."""
    number = iter([0.0, 1.0])
    bands = list(sliding_logits(lambda part: torch.full((1, *part.shape[1:]), next(number)), image(4, 6), 4, 0.5))
    assert len(bands) == 1
    torch.testing.assert_close(bands[0][0, 1], torch.tensor([0, 0, 1 / 3, 2 / 3, 1, 1]))


def test_bands_cover_the_rows_once_from_top_to_bottom():
    rows = torch.arange(101.0).view(1, -1, 1).expand(3, -1, 40)
    bands = list(sliding_logits(lambda part: part[:1], rows, 32, 0.5))
    assert max(band.shape[1] for band in bands) <= 32
    torch.testing.assert_close(torch.cat(bands, dim=1), rows[:1])


def test_a_mirrored_image_gives_the_mirrored_mask_with_flip():
    torch.manual_seed(0)
    network = nn.Conv2d(3, 5, 5, padding=2).requires_grad_(False)
    scene = image(64, 96)  # a multiple of 32: padding has one side
    predictor = Predictor(network, CPU, flip=True)
    assert torch.equal(predictor(scene.flip(-1)), predictor(scene).flip(-1))
    assert not torch.equal(Predictor(network, CPU)(scene.flip(-1)), Predictor(network, CPU)(scene).flip(-1))


@pytest.mark.parametrize("size", [(32, 48), (31, 50), (90, 200), (5, 7)])
def test_logits_scaled_a_few_rows_at_a_time_give_the_same_classes(size, monkeypatch):
    monkeypatch.setattr("autosegloss.evaluation.prediction._TOGETHER", 3 * size[1])
    logits = torch.randn(5, 32, 48, generator=torch.Generator().manual_seed(0))
    found, expected = scaled_labels(logits, size), predicted(logits[None], size)[0]
    assert (found == expected).double().mean() > 0.9999


def test_an_image_that_is_not_cut_for_the_network_has_a_mask_of_its_size():
    scene = image(40, 100)
    assert Resize((32, 32), keep_aspect=True).uncut(scene).shape == (3, 32, 80)
    assert Predictor(POINTWISE, CPU, Resize((32, 32), keep_aspect=True))(scene).shape == (40, 100)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overlap": 1.0}, "overlap: expected a share .* got 1.0"),
        ({"window": 8}, "window: expected 32 pixels or more, or 0"),
    ],
)
def test_windows_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Predictor(POINTWISE, CPU, **options)


def test_predictions_are_those_that_are_judged(tmp_path):
    run = TrainedRun.of(write_trained(tmp_path / "run", "data.size=[32,48]"))
    data = run.data()
    network = run.network(data.num_classes, 3)
    judged = list(network_predictions(network, data, "val", Multiclass(), decoder("argmax"), CPU))
    assert [each.name for each in judged] == [sample.name for sample in data.source.samples("val")]
    predictor = Predictor(network, CPU, data.resize)
    for each in judged:
        assert (predictor(each.load()) == each.predicted[0]).double().mean() > 0.999


def test_decoders():
    logits = torch.randn(1, 3, 4, 4)
    assert torch.equal(decoder("argmax")(logits), logits.argmax(1))
    with pytest.raises(InputError, match="unknown decode 'rank': choose one of rankseg, argmax"):
        decoder("rank")


def test_rankseg_gains_expected_iou_of_an_image():
    """Over draws of the truth from the probabilities, its mean IoU is above that of the most probable classes."""
    pytest.importorskip("rankseg")
    torch.manual_seed(0)
    logits = torch.randn(1, 3, 20, 20) + torch.tensor([1.5, 0.0, 0.0]).view(3, 1, 1)
    truths = torch.distributions.Categorical(logits=logits[0].permute(1, 2, 0)).sample((200,))

    def expected_iou(pred):
        both = [((pred == c) & (truths == c)).sum((1, 2)) / ((pred == c) | (truths == c)).sum((1, 2)) for c in range(3)]
        return torch.stack(both).mean()

    assert expected_iou(rankseg(logits)) > expected_iou(logits.argmax(1)) + 0.01


def test_without_its_package_rankseg_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "rankseg", None)
    with pytest.raises(
        InputError, match=r'decode=rankseg needs rankseg, not installed here: .*"autosegloss\[rankseg\]"'
    ):
        rankseg(torch.zeros(1, 2, 4, 4))
