# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""An engine of a third party, from its own distribution, is as good as core's (row H1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parents[1] / "thirdparty/kcoro_engine_recorder/src/kcoro_engine_recorder/__init__.py"


def test_the_recorder_fits_into_150_lines() -> None:
    assert len(SOURCE.read_text(encoding="utf-8").splitlines()) <= 150


def test_a_program_runs_on_the_recorder_and_leaves_a_trace(python: Any) -> None:
    """Chosen by name, used for every channel; each step is on record. Row: H1."""
    source = """
import json
import kcoro_core, kcoro_engine_recorder as recorder
from kcoro_core import Recv, Send, select

async def main():
    a, b = kcoro_core.channel(), kcoro_core.channel(kcoro_core.BUFFERED, capacity=1)
    async with kcoro_core.open_scope() as scope:
        scope.launch(a.send, "hello")
        assert await a.recv() == "hello"
        assert (await select(Recv(a), Send(b, 1))).index == 1
    a.close()

kcoro_core.run(main)
print(json.dumps([kcoro_core.plugins.engine().distribution, sorted({t.step for t in recorder.trace})]))
"""
    distribution, steps = python(source, KCORO_ENGINE="recorder")
    assert distribution == "kcoro-engine-recorder"
    assert {"close", "enqueue", "recv_now", "send_now"} <= set(steps)


@pytest.mark.timeout(300)  # every law on every host, in one command
def test_the_recorder_passes_the_laws_of_engines(kcoro: Any) -> None:
    """As its author would check it. Row: H1."""
    done = kcoro("conformance", "engine:recorder", limit=280, KCORO_PLUGIN_AUTOLOAD="0", KCORO_PLUGINS="+recorder")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "0 failed" in done.stdout
