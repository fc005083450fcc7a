"""Whether the demo is luck: `search.py metric=M seed=S` for metrics and seeds, and what each recommends.

    python benchmarks/demos.py OUT                                     # six metrics, seeds 0 to 4: hours on two cores
    python benchmarks/demos.py OUT --metrics miou,bf1 --seeds 0,1      # a part of them
    python benchmarks/demos.py OUT --only-collect                      # the table of what is finished
    python benchmarks/demos.py OUT profile=small                       # with overrides of search.py

A search that was stopped goes on. OUT/demos.json has a record per search, and the program prints a table of them, and
one in Markdown with a row per metric. All scores are those on the validation split, which no choice has seen: the
recommended loss is to beat cross-entropy there, or to be it; to be within half a point of the best of the losses with
all seeds; and to keep the guards. The seconds are those of all trainings, as if one had followed the other.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from rich.console import Console
from rich.table import Table

SEARCH = Path(__file__).parent.parent / "search.py"
CLOSE = 0.005  # of the best candidate


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is left, then tell what was found."""
    parser = argparse.ArgumentParser(description="Run the demo for metrics and seeds, and judge what it recommends.")
    parser.add_argument("out", type=Path)
    parser.add_argument("overrides", nargs="*", help="of search.py")
    parser.add_argument("--metrics", default="gacc,macc,miou,fwiou,biou,bf1")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--only-collect", action="store_true", help="run nothing")
    options = parser.parse_intermixed_args(arguments)
    searches = [(metric, int(seed)) for seed in options.seeds.split(",") for metric in options.metrics.split(",")]
    for metric, seed in searches:
        if not options.only_collect:
            run(options.out.absolute() / f"{metric}_{seed}", [f"metric={metric}", f"seed={seed}", *options.overrides])
    records = list(collected(options.out, searches))
    (options.out / "demos.json").write_text(json.dumps(records, indent=1))
    Console(width=140).print(table(records))
    print(summary(records))
    print(*by_metric(records), sep="\n")


def run(folder: Path, overrides: Sequence[str]) -> None:
    """Do a search, or what is left of it; one that fails is told and left out."""
    if (folder / "recommendation.json").exists():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    begun = (folder / "state.json").exists()
    own = [f"resume={folder}"] if begun else [*overrides, f"hydra.sweep.dir={folder}"]
    with folder.with_suffix(".log").open("a") as log:
        code = subprocess.run([sys.executable, str(SEARCH), *own], stdout=log, stderr=log, cwd=folder.parent).returncode
    if code:
        print(f"{folder.name} ended with {code}: see {log.name}", file=sys.stderr)


def collected(out: Path, searches: Sequence[tuple[str, int]]) -> Iterator[dict[str, Any]]:
    """A record of each search that is finished."""
    for metric, seed in searches:
        folder = out / f"{metric}_{seed}"
        if (folder / "recommendation.json").exists():
            found = json.loads((folder / "recommendation.json").read_text())
            yield {"metric": metric, "seed": seed, **judged(found), "seconds": seconds(folder)}


def judged(found: dict[str, Any]) -> dict[str, Any]:
    """What a recommendation is worth on the validation split."""
    by_name = {candidate["name"]: candidate for candidate in found["candidates"]}
    own, base = by_name[found["recommended"]], by_name[found["baseline"]]
    finalists = [each for each in by_name.values() if each["seeds"] == own["seeds"]]
    best, top = max(finalists, key=mean), max(by_name.values(), key=mean)
    return {
        "recommended": own["name"],
        "score": mean(own),
        "stderr": own["stderr"],
        "baseline": mean(base),
        "beats_baseline": own is base or mean(own) > mean(base),
        "best": best["name"],
        "behind_best": mean(best) - mean(own),
        "close": mean(best) - mean(own) <= CLOSE,
        "behind_best_of_any_seeds": mean(top) - mean(own),
        "guards_kept": all(own["differences"][name] >= -share for name, share in found["guard"].items()),
    }


def mean(candidate: dict[str, Any]) -> float:
    """The mean score over seeds."""
    return candidate["mean"]


def seconds(folder: Path) -> float:
    """Of all trainings of a search."""
    return sum(json.loads(path.read_text())["seconds"] for path in folder.rglob("result.json"))


def table(records: Sequence[dict[str, Any]]) -> Table:
    """A row per search."""
    page = Table("metric", "seed", "recommended", "score", "cross-entropy", "best", "behind", "guards", "seconds")
    for each in records:
        score = f"{100 * each['score']:.1f} ± {100 * (each['stderr'] or 0):.1f}"
        behind, guards = f"{100 * each['behind_best']:.1f}", "kept" if each["guards_kept"] else "BROKEN"
        base, spent = f"{100 * each['baseline']:.1f}", f"{each['seconds']:.0f}"
        name = each["recommended"] + ("" if each["beats_baseline"] else " (BEHIND)")
        page.add_row(each["metric"], str(each["seed"]), name, score, base, each["best"], behind, guards, spent)
    return page


def by_metric(records: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A row of Markdown per metric: means over its searches and their standard deviation, in percent."""
    yield "| metric | searches | recommended | its score | cross-entropy | gain | least gain | behind the best |"
    yield "|---|---:|---|---:|---:|---:|---:|---:|"
    for metric in dict.fromkeys(each["metric"] for each in records):
        own = [each for each in records if each["metric"] == metric]
        names = Counter(each["recommended"].rstrip(" 0123456789") for each in own)
        gains = [each["score"] - each["baseline"] for each in own]
        chosen = ", ".join(f"{count} {name}" for name, count in names.most_common())
        columns = [_spread([each[key] for each in own]) for key in ("score", "baseline")]
        rest = [_spread(gains), f"{100 * min(gains):.1f}", f"{100 * max(each['behind_best'] for each in own):.1f}"]
        yield f"| {' | '.join([metric, str(len(own)), chosen, *columns, *rest])} |"


def _spread(shares: Sequence[float]) -> str:
    spread = f" ± {100 * stdev(shares):.1f}" if len(shares) > 1 else ""
    return f"{100 * fmean(shares):.1f}{spread}"


def summary(records: Sequence[dict[str, Any]]) -> str:
    """How many searches did what they are to do."""
    count = len(records)
    done = {
        "beat cross-entropy or recommend it": "beats_baseline",
        f"within {100 * CLOSE:g} points of the best": "close",
        "keep the guards": "guards_kept",
    }
    return "; ".join(f"{sum(each[key] for each in records)} of {count} {what}" for what, key in done.items())


if __name__ == "__main__":
    main()
