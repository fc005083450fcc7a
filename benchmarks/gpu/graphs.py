"""The time of the device alone: work captured in a CUDA graph and replayed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch


class Replay:
    """A function without arguments, captured: calling this replays it into the memory of its first results.

    A capture that fails can leave torch unable to capture anything else in this process: errors say so.
    """

    failed: ClassVar[bool] = False

    def __init__(self, run: Callable[[], Any]):
        """Warm up and capture; raises what kept the function from being captured."""
        current, side = torch.cuda.current_stream(), torch.cuda.Stream()
        side.wait_stream(current)
        with torch.cuda.stream(side):
            run()
        current.wait_stream(side)
        torch.cuda.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(self.graph, stream=side):
                self.results = run()
        except Exception as error:  # of any kind: the end of the capture hides what went wrong in it
            earlier = " (after another capture had failed in this process)" if Replay.failed else ""
            Replay.failed, first = True, _first_of(error)
            raise RuntimeError(f"{type(first).__name__}: {first}{earlier}") from None
        finally:
            torch.cuda.set_stream(current)  # a capture that fails leaves its own

    def __call__(self) -> None:
        self.graph.replay()


def _first_of(error: BaseException) -> BaseException:
    """The error at the beginning of a chain."""
    while error.__context__ is not None:
        error = error.__context__
    return error
