# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Fuzz one target, guided by coverage, from its kept inputs; or replay one input.

    python -m tests.fuzz.campaign connection --seconds 60 --seed 7     look for new defects
    python -m tests.fuzz.campaign connection --replay 0001c8...        one input, to see a defect again
    python -m tests.fuzz.campaign connection --seconds 60 --keep       and keep what reached something new

Exit code 0: nothing was found. Else the defect, its input and the command that replays it stand on standard error.

The engine is atheris, which is libFuzzer for Python: it sees the branches and comparisons of the modules named below,
and runs on Linux and macOS. Replaying needs nothing but this project.
"""

from __future__ import annotations

import argparse
import importlib
import random
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from .kept import keep, kept

WATCHED = ["kcoro_core.wire", "kcoro_core.link"]
"""Whose branches guide the search. Loaded in ``fuzz`` only: atheris rewrites modules as they are imported."""


def fuzz(target: str, options: list[str], plant: str) -> None:
    """Hand over to libFuzzer, which ends this process."""
    import atheris

    with atheris.instrument_imports(include=WATCHED):
        from .planted import PLANTS
        from .targets import TARGETS
    if plant:
        PLANTS[plant].plant()
    run = TARGETS[target].run

    def one(data: bytes) -> None:
        try:
            run(data)
        except BaseException:
            sys.stderr.write(f"\nreplay: python -m tests.fuzz.campaign {target} --replay {data.hex()}\n")
            raise

    atheris.Setup([*options, f"-max_len={TARGETS[target].max_len}"], one)
    atheris.Fuzz()


def replay(target: str, data: bytes, plant: str) -> None:
    """Run one input, under the ordinary interpreter."""
    from .planted import PLANTS
    from .targets import TARGETS

    if plant:
        PLANTS[plant].plant()
    TARGETS[target].run(data)


def search(args: argparse.Namespace) -> int:
    """Run libFuzzer in a process of its own, over files that it may change; then keep what it found, if asked."""
    targets = importlib.import_module(".targets", __package__).TARGETS
    seed = args.seed or random.SystemRandom().randrange(1, 1 << 31)
    sys.stdout.write(f"fuzzing {args.target} for {args.seconds} s, seed {seed}\n")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory() as scratch:
        found = Path(scratch, "found")
        found.mkdir()
        inputs = [*([] if args.empty else kept(args.target)), *targets[args.target].seeds()]
        for number, data in enumerate(inputs):
            (found / f"{number:05}").write_bytes(data)
        options = [f"-max_total_time={args.seconds}", f"-seed={seed}", f"-artifact_prefix={scratch}/", "-len_control=0"]
        done = inner(args, options, found)
        if done == 0 and args.keep:
            smallest = Path(scratch, "smallest")
            smallest.mkdir()
            inner(args, ["-merge=1", *targets[args.target].merge, f"-artifact_prefix={scratch}/"], smallest, found)
            count = keep(args.target, (path.read_bytes() for path in smallest.iterdir()))
            sys.stdout.write(f"{count} inputs are kept\n")
    return done


def inner(args: argparse.Namespace, options: list[str], *folders: Path) -> int:
    """This program again, as libFuzzer; behind a script, since libFuzzer starts itself by its first argument."""
    script = folders[0].parent / "fuzzer"
    command = [sys.executable, "-m", __spec__.name, args.target, "--plant", args.plant, "--as-fuzzer", str(script)]
    script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    script.chmod(0o700)
    return subprocess.run([script, *options, *folders], check=False).returncode


def main() -> int:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description="fuzz one target, or replay one input")
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="0 draws one, which is printed")
    parser.add_argument("--keep", action="store_true", help="write the smallest set of inputs that reaches the same")
    parser.add_argument("--empty", action="store_true", help="begin with the first inputs only, and none that was kept")
    parser.add_argument("--replay", metavar="HEX", help="run this input, and nothing else")
    parser.add_argument("--plant", default="", help="with this planted defect, to see it found")
    parser.add_argument("--as-fuzzer", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.as_fuzzer is not None:
        fuzz(args.target, args.as_fuzzer, args.plant)
    elif args.replay is not None:
        replay(args.target, bytes.fromhex(args.replay), args.plant)
    else:
        return search(args)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
