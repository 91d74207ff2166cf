# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The kept inputs of every fuzz target are replayed by each run of the tests, and find planted defects. Row: W1."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from kcoro_core.wire.commands import BUILT, command_name

from .bodies import BODIES
from .decoders import DECODERS, NUMBERS, encoder
from .kept import kept
from .lies import LIES
from .planted import OUTDATED, PLANTS
from .talkers import LIMITS
from .targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
# What one input may have allocated at any moment: the frames that both ends may hold, their queues and our own books.
CAP_BYTES = 1 << 20


def failure(target: str) -> str:
    """The first defect that the kept inputs of a target show, with the command that replays it; or nothing."""
    for data in [*kept(target), *TARGETS[target].seeds()]:
        try:
            TARGETS[target].run(data)
        except Exception as error:  # noqa: BLE001 - whatever escapes is what is looked for
            return f"{error!r}; replay: python -m tests.fuzz.campaign {target} --replay {data.hex()}"
    return ""


@pytest.mark.parametrize("target", TARGETS)
def test_the_kept_inputs_show_no_defect(target: str) -> None:
    """Whatever comes in: named errors only, every bound kept, every book in balance. Row: W1."""
    assert len(kept(target)) > 10
    assert failure(target) == ""


@pytest.mark.parametrize("target", TARGETS)
def test_no_kept_input_allocates_above_the_cap(target: str) -> None:
    """A length that lies costs no memory: the peak of each input stays far below what frames announce. Rows: W1, X3."""
    worst = 0
    inputs = kept(target)[::3]
    TARGETS[target].run(inputs[-1])  # what is made once is no matter here
    tracemalloc.start()
    try:
        for data in inputs:
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            TARGETS[target].run(data)
            _, peak = tracemalloc.get_traced_memory()
            worst = max(worst, peak - before)
    finally:
        tracemalloc.stop()
    assert worst < CAP_BYTES


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_defect_is_found_by_the_kept_inputs(name: str) -> None:
    """Each check that is taken away turns the replay red, and the report names the input. Row: W1."""
    plant = PLANTS[name]
    plant.plant()
    try:
        found = failure(plant.target)
    finally:
        plant.remove()
    assert f"campaign {plant.target} --replay " in found
    assert not found.startswith(OUTDATED)
    assert failure(plant.target) == ""


def test_a_defect_is_replayed_by_the_command_that_is_printed() -> None:
    """The command shows the same defect again, and ends with 0 once it is gone. Row: W1."""
    plant = PLANTS["taken-size"]
    plant.plant()
    try:
        data = failure(plant.target).rpartition(" ")[2]
    finally:
        plant.remove()
    command = [sys.executable, "-m", "tests.fuzz.campaign", plant.target, "--replay", data]
    with_it = subprocess.run([*command, "--plant", "taken-size"], cwd=ROOT, capture_output=True, text=True)
    without = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (with_it.returncode != 0, without.returncode) == (True, 0), with_it.stderr + without.stderr


def test_every_payload_decoder_has_a_number_of_its_own() -> None:
    """So that each is fuzzed, and a kept input means the same decoder for ever. Row: W1."""
    assert sorted(NUMBERS.values()) == sorted(DECODERS)
    assert all(encoder(name) for name in DECODERS)


def test_forged_frames_can_be_of_every_command() -> None:
    """Their numbers are drawn from all that are built, and their payloads from what once stood on a frame. Row: W1."""
    assert [command_name(command) for command in BUILT if command >= 256] == []
    assert max(map(len, BODIES)) <= LIMITS.max_frame
    assert max(LIES) < 16
