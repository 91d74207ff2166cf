# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The kept inputs: ``corpus/TARGET.hex``, one input a line, sorted by length; what each run of the tests replays.

They are text, so that a change of them can be read, and few, since only what reaches something new is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


def kept(name: str) -> list[bytes]:
    """The inputs of a target, or none."""
    path = CORPUS / f"{name}.hex"
    return [bytes.fromhex(line) for line in path.read_text().splitlines()] if path.exists() else []


def keep(name: str, inputs: Iterable[bytes]) -> int:
    """Write the inputs of a target anew; how many there are."""
    lines = [data.hex() for data in sorted(set(inputs), key=lambda data: (len(data), data)) if data]
    (CORPUS / f"{name}.hex").write_text("".join(f"{line}\n" for line in lines))
    return len(lines)
