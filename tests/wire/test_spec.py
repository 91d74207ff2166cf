# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""docs/spec/wire.md is normative, and says what the code does: numbers, limits, states, example. Row: W1."""

import re
from pathlib import Path

import pytest
from attrs import fields

from kcoro_core.link.hints import LAPSE
from kcoro_core.wire.codes import ERROR_OF, WireCode
from kcoro_core.wire.commands import ALLOWED_FLAGS, BUILT, REQUESTS, Command, Flag
from kcoro_core.wire.connection import Connection, ConnectionConfig, Side
from kcoro_core.wire.events import OpenRequested, RecvRequested, SendRequested
from kcoro_core.wire.frame import Frame
from kcoro_core.wire.hello import Limits
from kcoro_core.wire.messages import Closing, OpenFlag, OpenRequest, Reason, Rights
from kcoro_core.wire.states import CHANNEL_MOVES, LEND_MOVES, MOVES

from .pair import BUFFERED_4, deliver, only, written

SPEC = (Path(__file__).parents[2] / "docs" / "spec" / "wire.md").read_text()


def table(title: str) -> list[list[str]]:
    """The rows of the first table under a heading, without its head, without code marks."""
    section = SPEC.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines[2:]]


def first_table(title: str, columns: int) -> list[list[str]]:
    """Those rows that have this many columns."""
    return [row for row in table(title) if len(row) == columns]


def test_every_command_stands_in_the_specification_with_its_number() -> None:
    """Number, name, who sends it, whether it is a request, and whether it is built. Row: W1."""
    rows = first_table("Commands", 5)
    assert {row[1]: int(row[0]) for row in rows} == {command.name: command.value for command in Command}
    assert {row[1] for row in rows if row[3] == "yes"} == {command.name for command in REQUESTS}
    assert {row[1] for row in rows if row[2] != "not built"} == {command.name for command in BUILT}


def test_every_flag_stands_in_the_specification_with_its_bit_and_its_commands() -> None:
    """Bit, name, extension, and on which commands it may stand today. Row: W1."""
    rows = first_table("Flags", 4)
    assert {row[1]: int(row[0]) for row in rows} == {flag.name: flag.value for flag in Flag}
    allowed = {row[1]: set(re.findall(r"[A-Z_]+", row[3])) for row in rows}
    for flag in Flag:
        assert allowed[str(flag.name)] == {
            Command(command).name for command, mask in ALLOWED_FLAGS.items() if mask & flag
        }


def test_every_error_number_stands_in_the_specification_with_its_class() -> None:
    """Number, name and the class a program sees. Row: E2."""
    rows = first_table("Error numbers", 4)
    assert {row[1]: int(row[0]) for row in rows} == {code.name: code.value for code in WireCode}
    assert {row[1]: row[2] for row in rows if row[2] != "-"} == {
        code.name: error.__name__ for code, error in ERROR_OF.items()
    }


def test_every_limit_stands_in_the_specification_with_its_range() -> None:
    """Name, lowest, highest and default of each limit, in the order of HELLO. Row: W3."""
    rows = first_table("Limits", 5)
    assert [row[0] for row in rows] == [attribute.name for attribute in fields(Limits)]
    for name, lowest, highest, default, _meaning in rows:
        low, high = int(lowest), int(highest)
        assert getattr(Limits(), name) == int(default)
        roomy = {"max_message": 1} if name in ("max_frame", "receive_budget") else {}
        for value in (low, high):
            budget = {} if name == "receive_budget" else {"receive_budget": (1 << 32) - 1}
            Limits(**{**roomy, **budget, name: value})
        for value in (low - 1, high + 1):
            with pytest.raises(ValueError, match=f"{name} is {value}"):
                Limits(**{name: value})


def test_the_times_of_the_specification_are_those_of_the_code() -> None:
    """Handshake, grace and farewell have the written defaults. Row: N6."""
    rows = first_table("Times", 3)
    assert {row[0]: float(row[1].split()[0]) for row in rows} == {
        name: getattr(ConnectionConfig(), name) for name in ("hello_limit", "cancel_grace", "bye_limit")
    } | {"turn_lapse": LAPSE}


@pytest.mark.parametrize(
    ("title", "moves"), [("Connection states", MOVES), ("Handle states", CHANNEL_MOVES), ("Lending states", LEND_MOVES)]
)
def test_the_state_tables_are_those_of_the_code(title: str, moves: dict[object, dict[object, object]]) -> None:
    """Each line is one legal step; nothing else is. Row: W1."""
    written_down = {(row[0], row[1], row[2]) for row in first_table(title, 4)}
    assert written_down == {
        (before.value, step.value, later.value)  # type: ignore[attr-defined]
        for before, steps in moves.items()
        for step, later in steps.items()
    }


def conversation() -> list[tuple[str, Frame]]:
    """The example of the specification, as the code speaks it."""
    a = Connection(Side.CONNECTING, b"\xaa" * 16, b"\x01" * 8, config=ConnectionConfig(software="demo"))
    b = Connection(Side.ACCEPTING, b"\xbb" * 16, b"\x02" * 8, Limits(max_channels=16))
    spoken: list[tuple[str, Frame]] = []

    def cross() -> None:
        for speaker, hearer, arrow in ((a, b, "->"), (b, a, "<-")):
            frames = written(speaker, flush=False)
            spoken.extend((arrow, frame) for frame in frames)
            heard.extend(deliver(hearer, frames))

    heard: list = []  # type: ignore[type-arg]
    a.start(0)
    b.start(0)
    for _ in range(3):
        cross()
    a.open(OpenRequest("jobs", OpenFlag(0)))
    cross()
    b.accept(only(heard, OpenRequested).request_id, BUFFERED_4)
    cross()
    a.send(1, b"one", 1500)
    cross()
    b.done(only(heard, SendRequested).request_id)
    cross()
    heard.clear()
    received = a.recv(1)
    cross()
    b.push(only(heard, RecvRequested).request_id, b"one")
    cross()
    a.taken(received)
    heard.clear()
    waits = a.recv(1)
    cross()
    a.cancel(waits, 0)
    cross()
    b.refuse(only(heard, RecvRequested).request_id, WireCode.ECANCELED)
    cross()
    b.tell_closed(1, Closing(Reason.TEXT, "done"))
    cross()
    a.detach(1)
    cross()
    a.bye(0)
    for _ in range(2):
        cross()
    return spoken


def as_text(arrow: str, frame: Frame) -> str:
    """One frame as the specification shows it: the six header fields, then the payload in lines of 32 bytes."""
    header = frame.header.hex()
    cut = [header[0:8], header[8:12], header[12:16], header[16:24], header[24:32], header[32:40]]
    payload = frame.payload.hex()
    lines = [payload[at : at + 64] for at in range(0, len(payload), 64)]
    return "\n".join(
        [f"{arrow} {Command(frame.command).name:8}{' '.join(cut)}", *(f"           {line}" for line in lines)]
    )


def test_the_example_in_hex_is_what_the_code_speaks() -> None:
    """Every byte of the conversation in the specification is the byte that two connections exchange. Row: W1."""
    example = re.search(r"```text\n(-> HELLO.*?)```", SPEC, re.DOTALL)
    assert example is not None
    assert example[1].splitlines() == "\n".join(as_text(arrow, frame) for arrow, frame in conversation()).splitlines()


def test_the_rights_and_open_flags_of_the_specification_are_those_of_the_code() -> None:
    """Bits of the OPEN payload and of its answer. Row: N8."""
    text = SPEC.replace("`", "")
    assert ", ".join(f"{flag.value} {flag.name}" for flag in OpenFlag) in text
    assert ", ".join(f"{right.value} {right.name}" for right in Rights) in text
