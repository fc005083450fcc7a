"""SegmentationData: which samples train and which validate, equal batches for equal seeds, and error messages."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.testing import assert_close

from autosegloss.data import Augment, Colours, Folder, SegmentationData, Shapes
from autosegloss.data.dataset import SegmentationDataset
from autosegloss.data.memory import MemorySplit, Resize
from autosegloss.data.samplers import SampleKey
from autosegloss.data.transforms import MEAN, STD

SMALL = Shapes(train=23, val=5, test=0, size=16)


def make(**settings):
    return SegmentationData(**{"source": SMALL, "size": None, "batch_size": 4, **settings})


def numbers(batches):
    """Which images of the fixture `folder`, whose values are their numbers, are in the batches."""
    images = torch.cat([images for images, _ in batches])
    return (images * STD + MEAN)[:, 0, 0, 0].round().int().tolist()


def judged(data):
    """The batches of validation of images that all have one size."""
    return [stack for (stack,) in data.val_dataloader()]


def test_batches_are_normalised_floats_and_int64_labels():
    images, labels = judged(make())[0]
    image, label = SMALL.samples("val")[0].load()
    assert images.shape == (4, 3, 16, 16)
    assert_close(images[0], (image - MEAN) / STD)
    assert_close(labels[0], label.long())


def test_it_knows_its_classes():
    data = make()
    assert (data.num_classes, data.class_names[0], data.ignore_index) == (6, "background", 255)


def test_images_and_labels_are_resized_once(folder):
    data = make(source=Folder(folder, classes=2), size=[4, 5])
    images, labels = next(iter(data.train_dataloader()))
    assert (images.shape, labels.shape) == ((4, 3, 4, 5), (4, 4, 5))
    assert set(labels.unique().tolist()) <= {0, 1, 255}


def test_one_number_is_height_and_width():
    assert judged(make(size=8))[0][0].shape == (4, 3, 8, 8)


def test_an_incomplete_batch_is_dropped_in_training_and_kept_in_validation():
    data = make()
    assert [len(images) for images, _ in data.train_dataloader()] == [4] * 5
    assert [len(images) for images, _ in judged(data)] == [4, 1]
    assert (len(data.train_dataloader()), len(data.val_dataloader())) == (5, 2)


def test_the_hold_out_comes_out_of_the_training_split(folder):
    data = make(source=Folder(folder, classes=2), batch_size=1, holdout=4, block=2)
    train, held = numbers(data.train_dataloader()), numbers(judged(data))
    assert sorted(train + held) == list(range(12))
    assert len(held) == 4
    assert {i // 2 for i in train}.isdisjoint(i // 2 for i in held)


def test_the_hold_out_depends_on_its_own_seed_only():
    assert make(holdout=0.3, seed=1).parts == make(holdout=0.3, seed=2).parts
    assert make(holdout=0.3, holdout_seed=1).parts != make(holdout=0.3, holdout_seed=2).parts


def test_without_a_hold_out_the_whole_split_trains(folder):
    data = make(source=Folder(folder, classes=2), batch_size=1)
    assert sorted(numbers(data.train_dataloader())) == list(range(12))
    assert numbers(judged(data)) == [0, 1, 2]


def test_the_same_seed_gives_the_same_batches_whatever_the_global_state():
    torch.manual_seed(1)
    first = list(make(augment=Augment()).train_dataloader())
    torch.manual_seed(2)
    np.random.seed(3)
    loader = make(augment=Augment()).train_dataloader()
    for batch, again in zip(first, loader, strict=True):
        torch.rand(1)
        assert_close(batch, again, rtol=0, atol=0)


def test_loading_draws_nothing_from_the_global_state():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    loader = make(augment=Augment()).train_dataloader()
    for keys in loader.batch_sampler:
        loader.dataset.__getitems__(keys)
    assert_close(torch.rand(1), expected)


def test_another_seed_and_the_next_epoch_give_other_batches():
    loader = make(augment=Augment()).train_dataloader()
    epochs = [next(iter(loader))[0] for _ in range(2)]
    other = next(iter(make(augment=Augment(), seed=1).train_dataloader()))[0]
    assert not torch.equal(epochs[0], epochs[1])
    assert not torch.equal(epochs[0], other)


def test_the_order_does_not_depend_on_the_augmentation(folder):
    source = Folder(folder, classes=2)
    plain = numbers(make(source=source).train_dataloader())
    assert plain == numbers(make(source=source, augment=Augment(scale=(1, 1))).train_dataloader())
    assert plain != sorted(plain)


def test_workers_give_the_same_batches():
    alone = list(make(augment=Augment()).train_dataloader())
    assert_close(list(make(augment=Augment(), num_workers=1).train_dataloader()), alone, rtol=0, atol=0)


class Recorder(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.weight, self.seen = torch.nn.Parameter(torch.zeros(())), []

    def training_step(self, batch, index):
        self.seen.append(batch)
        return self.weight

    def validation_step(self, batch, index):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # between Lightning and torch
def test_a_trainer_sees_the_batches_of_a_plain_loop_over_epochs():
    model = Recorder()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(max_steps=12, accelerator="cpu", enable_model_summary=False, log_every_n_steps=1, **quiet)
    trainer.fit(model, datamodule=make(augment=Augment()))
    loader = make(augment=Augment()).train_dataloader()
    plain = [batch for _ in range(3) for batch in loader][:12]
    assert_close(model.seen, plain, rtol=0, atol=0)


@pytest.mark.parametrize(("name", "count"), [("train_dataloader", 12), ("val_dataloader", 3)])
def test_processes_share_a_pass_without_overlap(name, count, folder, monkeypatch):
    """They may join after the loader is made."""
    source, seen = Folder(folder, classes=2), []
    loaders = [getattr(make(source=source, batch_size=3, eval_batch_size=2), name)() for _ in range(2)]
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda *_: 2)
    for rank, loader in enumerate(loaders):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda *_, rank=rank: rank)
        length = len(loader)
        batches = list(loader)
        assert len(batches) == length
        seen += numbers(batches if name == "train_dataloader" else [stack for (stack,) in batches])
    assert sorted(seen) == list(range(count))


def test_a_split_is_decoded_once_per_process():
    """A search starts hundreds of runs in one process, and decoding takes longer than a short run."""
    settings = {"source": Shapes(train=9, size=16), "size": 8, "holdout": 3, "score_at": "input"}
    first, again = (make(**settings) for _ in range(2))
    split = first.train_dataloader().dataset.split
    assert again.train_dataloader().dataset.split is split
    assert again.val_dataloader().dataset.split is split
    other = make(source=Shapes(train=9, size=16), size=4).train_dataloader()
    assert other.dataset.split is not split


def test_the_aspect_is_kept_by_cutting_the_middle_out(tmp_path, files):
    write_image, write_mask = files
    for i, (size, values) in enumerate([((8, 16), (0,)), ((16, 8), (0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0))]):
        write_image(tmp_path / "train" / "images" / f"{i}.png", size)
        write_mask(tmp_path / "train" / "masks" / f"{i}.png", size, values)
    settings = {"source": Folder(tmp_path, classes=2), "size": (4, 4), "batch_size": 2}
    _, cut = next(iter(make(**settings, keep_aspect=True).train_dataloader()))
    _, stretched = next(iter(make(**settings).train_dataloader()))
    assert sorted(cut.sum((1, 2)).tolist()) == [0, 16]  # the upright image: only its middle
    assert sorted(stretched.sum((1, 2)).tolist()) == [0, 8]  # half of it


@pytest.mark.parametrize("shape", [(7, 9), (9, 7), (30, 50), (6, 60), (4, 5)])
def test_any_image_covers_the_window(shape):
    image, label = Resize((6, 8), keep_aspect=True)(torch.zeros(3, *shape), torch.ones(shape, dtype=torch.uint8))
    assert (image.shape, label.shape) == ((3, 6, 8), (6, 8))
    assert label.all()  # nothing of it is padding


META = torch.device("meta")  # stands in for a GPU: its tensors have shapes, but no values


def split_of(count):
    return MemorySplit(torch.zeros(count, 3, 4, 4, dtype=torch.uint8), torch.zeros(count, 4, 4, dtype=torch.uint8))


def test_a_split_goes_to_the_device_if_it_takes_a_quarter_of_its_memory_at_most():
    needed = 9 * 4 * 4 * 4
    assert split_of(9).to(META, free=4 * needed).images.device == META
    assert split_of(9).to(META, free=4 * needed - 1).images.device.type == "cpu"


def test_batches_are_made_on_the_device_wherever_the_split_lies():
    data = make(augment=Augment(colours=Colours()), device=META)  # which has no memory for the split
    loader = data.train_dataloader()
    assert loader.dataset.split.images.device.type == "cpu"
    key = next(iter(loader.sampler))
    there = SegmentationDataset(split_of(23).to(META, free=10**6), 255, device=META)
    for (images, labels), size in ((next(iter(loader)), 16), (there.__getitems__([key] * 4)[0], 4)):
        assert (images.device, labels.device) == (META, META)
        assert (images.shape, labels.dtype) == ((4, 3, size, size), torch.int64)


def test_a_dataset_has_as_many_samples_as_its_split_and_gives_each():
    dataset = make().val_dataloader().dataset
    assert len(dataset) == 5
    image, label = SMALL.samples("val")[4].load()
    assert_close(dataset[SampleKey(4)], ((image - MEAN) / STD, label.long()))


def test_workers_make_batches_in_the_memory_of_the_host():
    data = make(device="meta", num_workers=1)
    assert next(iter(data.train_dataloader()))[0].device.type == "cpu"


@pytest.mark.parametrize("workers", [0, 1])
def test_judging_draws_no_random_number_of_the_training(workers):
    data = SegmentationData(Shapes(train=8, val=4, size=8), size=None, batch_size=4, num_workers=workers)
    before = torch.get_rng_state()
    assert len(list(data.val_dataloader())) == 1
    assert torch.equal(torch.get_rng_state(), before)
