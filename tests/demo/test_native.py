# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The main job on the native host: coordinator and workers, over Unix sockets, while workers are killed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from .local import plant
from .real import Place, demo
from .real import place as new_place


@pytest.fixture
def place() -> Iterator[Place]:
    with new_place() as here:
        yield here


def test_the_native_host_counts_the_same_whoever_is_killed(place: Place, tmp_path: Path) -> None:
    """Rows: C9, N6."""
    expected = plant(tmp_path, files=40, words=5000)
    ended = demo(place, tmp_path, "--host", "native", "--chaos", "--seed", "1", "--json")
    assert (ended.code, ended.err) == (0, "")
    report = json.loads(ended.out)
    assert {entry["word"]: entry["count"] for entry in report["top"]} == dict(expected)
    assert report["proof"]["equal"]
    ends = {worker["end"] for worker in report["workers"] if worker["end"]}
    assert ends == {"killed by --chaos"}
