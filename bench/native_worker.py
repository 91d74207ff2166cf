# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""One candidate of the native rows, in a process of its own: ``python native_worker.py CANDIDATE``.

It says ``ready``, and then for each line ``PROGRAM ELEMENTS WIDTH`` of its standard input runs that program on a fresh
loop and prints one JSON object. It says ``missing`` where the library is not installed.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import native_programs
from native_peers import PEERS, Peer
from native_programs import Watch

Run = Callable[[str, int, int], Any]
"""Does a program so often, in such a width, and says what it took."""


def taken(watch: Watch, answer: tuple[int, int]) -> dict[str, Any]:
    """What a program did and took."""
    seconds, processor = watch.stop()
    gc.enable()
    count, total = answer
    return {
        "count": count,
        "total": total,
        "seconds": seconds,
        "processor": processor,
        "memory": watch.memory,
        "late": watch.late,
        "laps": watch.laps,
    }


def fresh(by_batch: bool = False) -> Watch:
    """The collector runs before a program and not during it."""
    gc.collect()
    gc.disable()
    return Watch(by_batch)


def on_loop(peer: Peer, program: Callable[..., Any], n: int, width: int, by_batch: bool = False) -> Any:
    """Run a program; making the loop is not counted."""
    more = (width,) if width else ()

    async def main() -> dict[str, Any]:
        watch = fresh(by_batch)
        return taken(watch, await program(peer, n, watch, *more))

    return peer.run(main)


def on_gevent(name: str, n: int, _width: int) -> Any:
    """Run one of ``native_gevent``."""
    import native_gevent

    watch = fresh()
    return taken(watch, getattr(native_gevent, name)(n, watch))


def candidate(name: str) -> Run:
    """What runs a program. ImportError: it is not installed."""
    if name == "gevent":
        import native_gevent  # noqa: F401

        return on_gevent
    peer = PEERS[name]()
    return lambda program, n, width: on_loop(peer, getattr(native_programs, program), n, width)


def main(make: Callable[[], Run]) -> None:
    """Answer lines until the input ends, with what ``make`` gives."""
    try:
        run = make()
    except ImportError:
        print("missing", flush=True)
        return
    print("ready", flush=True)
    for line in sys.stdin:
        program, n, width = line.split()
        print(json.dumps(run(program, int(n), int(width))), flush=True)


if __name__ == "__main__":
    main(partial(candidate, sys.argv[1]))
