"""Run a module, and end when the parent process is gone.

`python -m lossatlas_book.notebooks.end_with_parent PARENT papermill …` runs papermill. A program that is killed
outright cannot end what it has started. This module watches for that, so that a second call never computes beside
what a killed one left behind. (A notebook's kernel watches papermill in the same manner.)
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

EVERY = 1.0  # seconds between two looks


def watch(parent: int) -> None:
    """End this process and its group as soon as it has another parent."""
    while os.getppid() == parent:
        time.sleep(EVERY)
    os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    parent, sys.argv = int(sys.argv[1]), sys.argv[2:]
    threading.Thread(target=watch, args=(parent,), daemon=True).start()
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
