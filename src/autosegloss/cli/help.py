"""The help of the programs: a screen for each, of 100 columns; light to import."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from autosegloss.cli.configs import groups

WIDTH = 100
HELP = ("-h", "--help")
ALL = "--help-all"


@dataclass(frozen=True)
class Help:
    """The help of a program.

    Args:
        usage: how it is typed.
        what: what it does, a sentence or two.
        settings: {KEY=DEFAULT: what it means}.
        examples: {command: what it does}.
        groups: the groups of the configuration whose choices are listed.
        more: what --help-all adds, in words; "" if the page is all.
    """

    usage: str
    what: str
    settings: Mapping[str, str]
    examples: Mapping[str, str]
    groups: Sequence[str] = ()
    more: str = ""

    def text(self, own: Sequence[str] = ()) -> str:
        """The page; `own` are folders with configs of the user."""
        parts = [f"usage: {self.usage}\n\n{textwrap.fill(self.what, WIDTH)}"]
        if self.groups:
            choices = groups(own)
            listed = {group: " ".join(choices[group]) for group in self.groups}
            parts.append(f"groups, as GROUP=CHOICE:\n{_columns(listed)}")
        parts.append(f"settings, as KEY=VALUE:\n{_columns(self.settings)}")
        parts.append(f"examples:\n{_examples(self.examples)}")
        if self.more:
            parts.append(self.more)
        return "\n\n".join(parts) + "\n"

    def shown(self, arguments: Sequence[str]) -> bool:
        """Print the page if the arguments ask for help, for all of it too if there is no more; whether they do."""
        asked = any(argument in (*HELP, *(() if self.more else (ALL,))) for argument in arguments)
        if asked:
            print(self.text(own_folders(arguments)), end="")
        return asked


def own_folders(arguments: Sequence[str]) -> list[str]:
    """The folders that --config-dir names."""
    names = ("--config-dir", "-cd")
    joined = [argument.partition("=")[2] for argument in arguments if argument.startswith("--config-dir=")]
    return joined + [after for before, after in pairwise(arguments) if before in names]


def _columns(rows: Mapping[str, str]) -> str:
    """Keys, and their texts beside them, wrapped."""
    first = max(map(len, rows)) + 4
    lines = []
    for key, text in rows.items():
        wrapped = textwrap.wrap(text, WIDTH - first, break_long_words=False, break_on_hyphens=False)
        lines += [f"  {key:{first - 2}}{wrapped[0]}", *(" " * first + line for line in wrapped[1:])]
    return "\n".join(lines)


def _examples(examples: Mapping[str, str]) -> str:
    first = max(map(len, examples)) + 2
    return "\n".join(f"  {command:{first}}{text}".rstrip() for command, text in examples.items())


TRAIN = Help(
    "autosegloss train [-m] [KEY=VALUE ...] [--config-dir DIR]",
    "Trains a network with any loss and judges it by all metrics. With -m it trains once for every combination of "
    "values with commas, and compares the runs at the end.",
    {
        "trainer.max_steps=300": "its length; seed=0; data.batch_size=8; data.root=ROOT of the images",
        "loss.theta=PATH": "with loss=searched: the theta.yaml of a search",
        "validate_every=N": "steps; early_stopping=5 ends after 5 validations without a better score",
        "task=binary": "masks of a background and one foreground, which alone is scored",
        "monitor=METRIC": "takes the weights of the best validation; ema=0.999 averages weights",
        "resume=DIR": "goes on with a training, or a grid of them, that was stopped",
        "hydra.run.dir=DIR": "the folder of the run; outputs/train/DATE without it",
    },
    {
        "autosegloss train loss=searched_miou": "on generated scenes",
        "autosegloss train data=folder data.root=PATH loss=dice": "on your own images",
        "autosegloss train data=camvid data.root=PATH network=deeplabv3plus_r50": "a large network",
        "autosegloss train loss=searched loss.theta=searches/miou/DATE/theta.yaml": "what was found",
        "autosegloss train -m loss=cross_entropy,searched_miou seed=0,1,2": "six runs, compared",
    },
    (
        "metric",
        "loss",
        "curve",
        "data",
        "network",
        "auxiliary",
        "optimizer",
        "schedule",
        "trainer",
        "logger",
        "callbacks",
        "experiment",
    ),
    "--help-all lists every setting with its default, --cfg job prints what would run.",
)

SEARCH = Help(
    "autosegloss search [KEY=VALUE ...] [--config-dir DIR]",
    "Searches the loss for a metric: many short trainings, then a table of all losses at one budget, and which of them "
    "to train with.",
    {
        "hydra.sweeper.steps=3": "steps of the search, of hydra.sweeper.samples=6 thetas each",
        "trainer.max_steps=250": "steps of a whole training; seed=0; data.root=ROOT of the images",
        "dry_run=true": "says what would run, and how long",
        "resume=DIR": "goes on with a search that was killed",
    },
    {
        "autosegloss search metric=miou": "on generated scenes, minutes",
        "autosegloss search metric=bf1 data=folder data.root=PATH": "on your own images",
        "autosegloss search metric=miou+biou metric.weights=[2,1]": "two metrics at once",
        "autosegloss search metric=biou workers=4": "four at a time",
        "autosegloss search resume=searches/miou/DATE": "goes on",
    },
    ("metric", "profile", "hydra/sweeper", "curve", "data", "network", "optimizer", "trainer", "experiment"),
    "--help-all lists every setting with its default.",
)

EVALUATE = Help(
    "autosegloss evaluate RUN [KEY=VALUE ...] [--config-dir DIR]",
    "Judges the network of a run in detail, or masks in files: all metrics with intervals, classes, confusions, "
    "calibration, the worst images. Writes scores.json, tables as CSV, figures and index.html.",
    {
        "split=val": "val, test, train, or all of them",
        "data.KEY=VALUE": "another setting of the run's data; data=NAME data.root=ROOT takes other data",
        "decode=argmax": "argmax; rankseg, for the IoU of an image (extra rankseg). threshold=P: with task=binary",
        "other=RUN2": "a second run on the same images: paired test of the difference",
        "predictions=DIR": "masks in files instead of RUN, beside those in truth=DIR; classes=N or "
        "classes=[sky,road], or a classes.yaml in truth=DIR; ignore_index=255 width=0.02 tolerance=0.0075 rims=false",
        "bootstrap=1000": "resamples of the images for the intervals, drawn with seed=0",
        "out=DIR": "where the files go; RUN/evaluation/SPLIT without it. device=auto: cpu, cuda, ...",
    },
    {
        "autosegloss evaluate outputs/train/DATE": "on its validation images",
        "autosegloss evaluate outputs/train/DATE split=test": "on its test images",
        "autosegloss evaluate RUN data=folder data.root=PATH split=all": "on other images",
        "autosegloss evaluate RUN other=RUN2": "are the two different?",
        "autosegloss evaluate predictions=masks truth=PATH/masks classes=11": "masks of any program",
    },
)

PREDICT = Help(
    "autosegloss predict RUN images=PATH out=DIR [KEY=VALUE ...]",
    "Predicts masks of images: palette PNG files of class indices at the size of the images. Files that are no "
    "images are listed at the end, with exit code 1.",
    {
        "images=PATH": "an image, or a folder with images, subfolders included",
        "out=DIR": "where the masks go, under the paths of the images",
        "overlay=false": "true: NAME_overlay.jpg beside each mask, the mask over the image",
        "values=false": "true: the mask values, or colours, of the run's table instead of class indices",
        "window=0": "pixels of a side of a sliding window; 0 takes the image whole",
        "overlap=0.5": "of neighbouring windows, a share of their side",
        "flip=false": "true: the mean of the image and its mirror image. threshold=P: of a run with task=binary",
        "device=auto": "cpu, cuda, ...; auto takes a GPU if there is one",
        "data.source.bands=[0,1,2]": "of files of other bands, as RGBA; also data.source.max_value, max_megapixels",
    },
    {
        "autosegloss predict outputs/train/DATE images=photos out=masks": "a folder",
        "autosegloss predict RUN images=photo.jpg out=masks overlay=true": "one, and a picture",
        "autosegloss predict RUN images=tiles out=masks window=512 overlap=0.5": "large images",
        "autosegloss predict RUN images=photos out=masks flip=true": "twice the time",
        "autosegloss predict RUN/checkpoints/NAME.pt images=photos out=masks": "best weights",
    },
)

EXPORT = Help(
    "autosegloss export RUN [format=onnx] [out=FILE]",
    "Writes the network of a run as one file for other programs: pixels in, logits out, normalisation and padding "
    "included. The file is run and compared with PyTorch before it is kept.",
    {
        "format=onnx": "onnx, which needs the extra export; torch, a program of torch.export",
        "out=FILE": "RUN/model.onnx, or RUN/model.pt2, without it",
    },
    {
        "autosegloss export outputs/train/DATE": "as ONNX",
        "autosegloss export outputs/train/DATE format=torch": "for torch.export.load",
        "autosegloss export RUN out=roads.onnx": "into another file",
        "autosegloss export RUN/checkpoints/NAME.pt": "kept with monitor=METRIC",
        "autosegloss export searches/miou/DATE/comparison/searched/seed_0": "of a search",
    },
)

COMPARE = Help(
    "autosegloss compare RUN ... [KEY=VALUE ...]",
    "Compares runs: a table of their scores, mean and standard deviation over seeds, rows named by what differs in "
    "the settings, and a figure. RUN is a folder of train or search, or a folder above these.",
    {
        "metric=NAME": "the metric of the figure, and in front; that of the runs without it",
        "split=val": "val or test, as the runs have measured them",
        "out=DIR": "writes comparison.md, comparison.csv and comparison.png there",
    },
    {
        "autosegloss compare outputs/train/DATE": "the runs of a train -m",
        "autosegloss compare outputs/train": "all runs so far",
        "autosegloss compare RUN1 RUN2 metric=bf1": "two runs by BF1",
        "autosegloss compare searches/miou/DATE out=table": "the networks that a search compares, as files",
        "autosegloss compare outputs/train split=test": "on the test images",
    },
)

DATA = Help(
    "autosegloss data check [KEY=VALUE ...] [--all]",
    "Looks through a data set: counts, classes, values of the masks, unreadable files, doubts; draws a few samples, "
    "and proposes a classes.yaml where the masks need one.",
    {
        "data=NAME": "and any other setting of a training, as data.root=ROOT",
        "limit=N": "reads N samples of each split",
        "out=data_check.png": "the picture; --all lists all faults, not the first of each kind",
    },
    {
        "autosegloss data check data=folder data.root=PATH": "your own images",
        "autosegloss data check data=folder data.root=PATH data.source.classes=3": "masks of 0, 1 and 2",
        "autosegloss data check data=camvid data.root=PATH limit=20": "a quick look",
        "autosegloss data check data=voc data.root=PATH --all": "every fault",
        "autosegloss data check data=folder data.root=PATH out=look.png": "the picture there",
    },
    ("data",),
)

REPORT = Help(
    "autosegloss report table|figure N [RUNS ...] [--format md|html|csv] [--out FILE]",
    "Prints a table of the paper: its numbers, those of the authors' release, and the scores of your runs.",
    {"N": "table 2 to 7, or fig3; figure 3", "RUNS": "folders of train or search, or above these"},
    {
        "autosegloss report table 2": "the published numbers alone",
        "autosegloss report table 2 outputs/train": "beside those of your runs",
        "autosegloss report table 5 searches": "a table of searches",
        "autosegloss report table 2 outputs/train --out table.html": "into a file, also .md or .csv",
        "autosegloss report figure 3 searches --out fig3.png": "PPO2 and random search",
    },
)
