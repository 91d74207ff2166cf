# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One candidate of the micro-benchmarks, in a process of its own; it is talked to as ``native_worker.py`` is."""

from __future__ import annotations

import sys
from functools import partial

import micro_programs
import native_programs
from micro_peers import PEERS
from native_worker import Run, main, on_loop

PROGRAMS = vars(native_programs) | vars(micro_programs)


def candidate(name: str) -> Run:
    """What runs a program, batch by batch. ImportError: it is not installed."""
    peer = PEERS[name]()
    return lambda program, n, width: on_loop(peer, PROGRAMS[program], n, width, by_batch=True)


if __name__ == "__main__":
    main(partial(candidate, sys.argv[1]))
