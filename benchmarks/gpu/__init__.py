"""The parts of `benchmarks/gpu_check.py`, a file each.

A part is a module with

    def run(dry: bool) -> Iterator[dict]

which yields one flat dict per finished measurement, as soon as it is finished. The frame runs each part in a process of
its own, with `benchmarks` and `src` on the path, adds `part` and `seconds` (since the line before) to each dict and
appends it to `lines.jsonl` at once. So a part that is stopped by its time limit keeps its lines, and a part should put
the worthiest measurements first. The limit reaches the part as SystemExit (SIGTERM): a `finally` has five seconds to
end what the part has started; then the whole process group is killed.

Keys with a meaning for the summary:

- `target`, `measured`, `ok`: a row of the table, such as {"target": "miou <= 1 x cross-entropy", "measured": "0.8 x",
  "ok": True}; `ok` None says that the target was not measured, `measured` why. Other keys may stand beside them.
- `error`, `message`, `traceback`: a measurement that failed. `record.guarded` makes such a line of an exception, so
  that the rest of a part goes on. An exception that leaves `run` becomes one, too, and ends the part.

The environment variable GPU_CHECK_LIMIT holds the limit in seconds, for parts that plan by it.

With `dry` a part runs on the CPU at tiny sizes within seconds, where no GPU is visible; the kernels run in Triton's
interpreter for the part `correctness`.
What is printed or logged goes to `PART.log` beside the lines. Imports that may be missing on a machine belong into the
function that needs them.
"""

PARTS = {1: "correctness", 2: "loss_cost", 3: "trial", 4: "side_by_side", 5: "search", 6: "metrics"}
