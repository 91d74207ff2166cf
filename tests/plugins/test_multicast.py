# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A transport by somebody else that can do little, and says so: UDP multicast, publish only (row T8)."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import THIRD_PARTY, build_and_install, environment

Run = Callable[..., "subprocess.CompletedProcess[str]"]

SENT = 2000

LISTENER = """
import json, sys
from kcoro_core import BUFFERED, DROP_OLDEST, channel, run
from kcoro_transport_multicast import subscribe

async def main(uri, stands_still):
    elements = channel(BUFFERED, capacity=100_000, overflow=DROP_OLDEST)
    with subscribe(uri, elements, receive_bytes=8192) as heard:
        print("ready", flush=True)
        if stands_still:
            sys.stdin.readline()    # the whole loop: packets come, and the small buffer of the kernel is soon full
        got = []                        # the numbers of all that was heard; an end says its own
        async for element in elements:
            got.append(int(element.removeprefix(b"end ")))
            if element.startswith(b"end"):
                break
        while len(elements):            # and what came behind it: nothing is heard meanwhile
            got.append(int(elements.try_recv().removeprefix(b"end ")))
        print(json.dumps({"got": got, "missing": heard.missing, "dropped": heard.dropped}))

run(main, sys.argv[1], sys.argv[2] == "stands still")
"""

PUBLISHER = """
import sys, time
from kcoro_transport_multicast import publish

with publish(sys.argv[1]) as group:
    for number in range(int(sys.argv[2])):
        group.send(str(number).encode())
    print(group.sent, flush=True)
    while sys.stdin.readline():
        group.send(b"end %d" % group.sent)
        print(group.sent, flush=True)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which the plugin is installed."""
    into = tmp_path_factory.mktemp("site")
    build_and_install([THIRD_PARTY / "kcoro_transport_multicast"], into, tmp_path_factory.mktemp("wheels"))
    return into


@pytest.fixture
def group() -> str:
    """A group of this test alone, as far as chance goes."""
    dice = random.SystemRandom()
    return f"multicast:239.255.{dice.randrange(1, 255)}.{dice.randrange(1, 255)}:{dice.randrange(20_000, 30_000)}"


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> Run:
    """Run a Python command line with the plugin installed."""

    def call(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *args]
        env = environment(installed)
        return subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=50)

    return call


def start(installed: Path, program: str, *args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *args]
    return subprocess.Popen(
        command, env=environment(installed), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_two_processes_hear_one_and_each_counts_exactly_what_it_missed(installed: Path, group: str) -> None:
    """One of them stands still meanwhile, so that packets are lost: sent minus received is what it reports. Row: T8."""
    listeners = [start(installed, LISTENER, group, how) for how in ("stands still", "reads")]
    publisher = None
    try:
        assert [hear(listener) for listener in listeners] == ["ready", "ready"]
        publisher = start(installed, PUBLISHER, group, str(SENT))
        assert hear(publisher) == str(SENT)
        say(listeners[0], "go on")
        give_up = time.monotonic() + 30
        while any(listener.poll() is None for listener in listeners) and time.monotonic() < give_up:
            say(publisher, "end")  # this may be lost as well
            hear(publisher)
        reports = [json.loads(hear(listener)) for listener in listeners]
        assert [listener.wait(20) for listener in listeners] == [0, 0]
    finally:
        for process in (*listeners, *filter(None, [publisher])):
            process.kill()
            process.communicate()
    for report in reports:
        got = report["got"]
        assert len(set(got)) == len(got)
        assert report["dropped"] == 0
        assert report["missing"] == max(got) + 1 - len(got)  # sent, up to the newest, minus received
    assert reports[0]["missing"] > 0, "the small buffer of the kernel has held everything"


@pytest.mark.parametrize("what", ["dial", "serve"])
def test_a_link_needs_more_and_is_refused_at_open(run: Run, group: str, what: str) -> None:
    """Row: T8."""
    program = (
        "import sys\n"
        f"from kcoro_core import {what}, run, NotSupported\n"
        "async def main():\n"
        f"    async with {what}(sys.argv[1], authorize=lambda *_: True): pass\n"
        "try: run(main)\n"
        "except NotSupported as error: print(error)\n"
    )
    done = run("-c", program, group)
    assert "multicast: cannot carry a link, it does not promise ORDERED, RELIABLE" in done.stdout, done.stderr


def test_a_channel_that_needs_an_answer_is_refused(run: Run, group: str) -> None:
    """A RENDEZVOUS send waits for its receiver; and a channel that makes an adapter wait is no intake. Row: T8, N9."""
    program = (
        "import sys\n"
        "from kcoro_core import BUFFERED, RENDEZVOUS, NotSupported, channel, run\n"
        "from kcoro_transport_multicast import subscribe\n"
        "async def main():\n"
        "    for made in ({'kind': RENDEZVOUS}, {'elements': channel(BUFFERED, capacity=1)}):\n"
        "        try:\n"
        "            with subscribe(sys.argv[1], **made): pass\n"
        "        except (NotSupported, ValueError) as error: print(type(error).__name__)\n"
        "run(main)\n"
    )
    done = run("-c", program, group)
    assert done.stdout.split() == ["NotSupported", "ValueError"], done.stderr


def test_an_element_that_fits_into_no_packet_is_refused(run: Run, group: str) -> None:
    """The largest one is sent, and one byte more costs no number. Row: T8."""
    program = (
        "import sys\n"
        "from kcoro_core import MessageTooLong\n"
        "from kcoro_transport_multicast.publishing import LARGEST, publish\n"
        "with publish(sys.argv[1]) as group:\n"
        "    assert group.send(bytes(LARGEST))\n"
        "    try: group.send(bytes(LARGEST + 1))\n"
        "    except MessageTooLong: print(group.sent)\n"
    )
    assert run("-c", program, group).stdout == "1\n"


@pytest.mark.parametrize("uri", ["multicast:", "multicast:10.0.0.1:5000", "multicast:239.1.1.1:0", "multicast:x:1"])
def test_an_address_that_is_no_group_shows_one_that_is(run: Run, uri: str) -> None:
    """Row: T8."""
    program = (
        "import sys\n"
        "from kcoro_core import plugins\n"
        "try: plugins.transport('multicast').connect(sys.argv[1], {})\n"
        "except ValueError as error: print(error)\n"
    )
    assert "one looks like multicast:239.77.1.2:5000" in run("-c", program, uri).stdout


def test_it_passes_what_applies_of_the_kit_and_of_the_harness(run: Run, group: str) -> None:
    """Few cases do, and every other one says which capability is not claimed. Rows: T7, T8, X7."""
    done = run("-m", "kcoro_core", "conformance", group, "--json")
    results = json.loads(done.stdout)
    assert done.returncode == 0, [result for result in results if result["state"] == "failed"]
    passed = {result["number"] for result in results if result["state"] == "passed"}
    assert {"1.6", "1.13", "3.16", "6.1", "7.5", "14.1", "14.2", "14.3"} <= passed
    others = [result for result in results if result["number"] not in passed]
    assert all("does not claim" in result["text"] or "description" in result["text"] for result in others)
    hooks = json.loads(run("-m", "kcoro_core", "harness", group, "--json").stdout)
    assert {hook["state"] for hook in hooks} == {"passed", "does not apply"}
