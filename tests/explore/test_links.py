# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Exploring programs whose links go over a simulated medium (row X19)."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from kcoro_core import channel, sleep
from kcoro_core.hosts.script import Deadlock, ScriptHost
from kcoro_core.testing.explore import Exploration, UserProgram, explore
from kcoro_core.transports.impairments import default_seed, impairments_of

PROGRAM = """
from kcoro_core import BUFFERED, channel, dial, open_scope, serve, sleep

async def worker(uri):
    async with dial(uri) as link:
        jobs, done = await link.open("jobs"), await link.open("done")
        async for job in jobs:
            await done.send(job.upper())

async def main():
    jobs, done = channel(BUFFERED, 4, name="jobs"), channel(BUFFERED, 4, name="done")
    async with serve("LINE", export={"jobs": jobs, "done": done}) as server:
        async with open_scope() as scope:
            scope.launch(worker, server.uri)
            scope.launch(worker, server.uri)
            for n in range(6):
                await jobs.send(b"job %d" % n)
            END
            got = [await done.recv() for n in range(6)]
    assert sorted(got) == [b"JOB %d" % n for n in range(6)]
"""


def explored(folder: Path, line: str, end: str = "jobs.close()", schedules: int = 60) -> Exploration:
    (folder / "farm.py").write_text(PROGRAM.replace("LINE", line).replace("END", end))
    program = UserProgram(f"{folder}/farm.py::main")
    return explore(map(program.schedule, range(schedules)), limit=schedules, seconds=50)


@pytest.mark.parametrize("line", ["sim:?latency=5ms&jitter=5ms&loss=0.05&short_reads=0.5&short_writes=0.5", "mem:farm"])
def test_a_program_that_is_right_is_right_over_links(tmp_path: Path, line: str) -> None:
    """Also for what kcoro keeps for itself, as the news of a server that nobody reads. Row: X19."""
    outcome = explored(tmp_path, line)
    assert outcome.found == ()
    assert (outcome.schedules, outcome.replayed) == (60, 3)
    assert outcome.distinct > 50


def test_a_deadlock_is_found_although_links_are_kept_alive(tmp_path: Path) -> None:
    """And says who waits for what at the other end of a link. Row: X19."""
    outcome = explored(tmp_path, "sim:?latency=5ms", end="")
    [finding] = outcome.found
    assert finding.kind == "deadlock"
    assert "'worker' waits in __anext__() of <RemoteChannel 'jobs' BUFFERED" in finding.text


def test_each_schedule_has_faults_of_its_own_and_repeats_them(tmp_path: Path) -> None:
    """A line that breaks seldom breaks in some schedule; its command breaks it in the same way. Row: X19."""
    outcome = explored(tmp_path, "sim:?latency=5ms&cut=0.002", schedules=300)
    assert outcome.schedules > 1, "it breaks in the first schedule: too often to show anything"
    assert any("LinkLost" in finding.text for finding in outcome.found)
    assert outcome.command is not None
    seed = int(outcome.command.split("--seed ")[1].split()[0])
    again = UserProgram(f"{tmp_path}/farm.py::main").run(seed)
    assert [finding.kind for finding in again.found] == [finding.kind for finding in outcome.found]
    assert again.trace in outcome.traces


def test_an_address_that_names_its_seed_keeps_it() -> None:
    with default_seed(7):
        assert impairments_of("loss=0.1", "x").seed == 7
        assert impairments_of("loss=0.1&seed=3", "x").seed == 3
    assert impairments_of("loss=0.1", "x").seed == 0


def test_the_patience_of_the_script_host_is_with_the_background_only() -> None:
    """A task that sleeps for less is no deadlock; a background that ticks for ever is no life. Row: X19."""
    host = ScriptHost(patience=100.0)

    async def tick() -> None:
        while True:
            await sleep(30)

    async def main() -> None:
        host.spawn(tick, name="tick")
        await sleep(99)
        await sleep(99)
        await channel().recv()

    with pytest.raises(Deadlock, match="tick"):
        host.run(main)
    assert 198 <= host.now() <= 298
    assert math.isinf(ScriptHost()._patience)
