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
from typing import Any

import native_programs
from native_peers import PEERS, Peer
from native_programs import Watch


def taken(watch: Watch, answer: tuple[int, int]) -> dict[str, float]:
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
    }


def fresh() -> Watch:
    """The collector runs before a program and not during it."""
    gc.collect()
    gc.disable()
    return Watch()


def on_loop(peer: Peer, name: str, n: int, width: int) -> Any:
    """Run one of ``native_programs``; making the loop is not counted."""
    program = getattr(native_programs, name)
    more = (width,) if width else ()

    async def main() -> dict[str, float]:
        watch = fresh()
        return taken(watch, await program(peer, n, watch, *more))

    return peer.run(main)


def on_gevent(name: str, n: int, _width: int) -> Any:
    """Run one of ``native_gevent``."""
    import native_gevent

    watch = fresh()
    return taken(watch, getattr(native_gevent, name)(n, watch))


def candidate(name: str) -> Callable[[str, int, int], Any]:
    """What runs a program. ImportError: it is not installed."""
    if name == "gevent":
        import native_gevent  # noqa: F401

        return on_gevent
    peer = PEERS[name]()
    return lambda program, n, width: on_loop(peer, program, n, width)


def main(name: str) -> None:
    """Answer lines until the input ends."""
    try:
        run = candidate(name)
    except ImportError:
        print("missing", flush=True)
        return
    print("ready", flush=True)
    for line in sys.stdin:
        program, n, width = line.split()
        print(json.dumps(run(program, int(n), int(width))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
