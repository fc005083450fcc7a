"""One part, in this process: `python -m gpu.child PART FOLDER [--dry]`."""

from __future__ import annotations

import signal
import sys
import time
from importlib import import_module
from pathlib import Path

from gpu import record


def main(part: str, folder: Path, dry: bool) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    last = time.perf_counter()
    try:
        for line in import_module(f"gpu.{part}").run(dry):
            now = time.perf_counter()
            record.append(folder, {"part": part, "seconds": round(now - last, 3), **line})
            last = now
    except Exception as error:  # of any kind: it is the result of this part
        seconds = round(time.perf_counter() - last, 3)
        record.append(folder, {"part": part, "seconds": seconds, "what": "the part", **record.failure(error)})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), "--dry" in sys.argv[3:]))
