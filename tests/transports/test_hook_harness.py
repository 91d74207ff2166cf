# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The reference driver on trio passes every transport of this project, and finds what is planted (row T7)."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
import trio

from kcoro_core import cli, plugins
from kcoro_core.testing.hook_harness import HookResult, run_hooks
from kcoro_core.transport import Capability, Identity, PollSpec, RawFrame

from .planted_ends import leaves_without_a_word
from .planted_frames import put_past_the_bound
from .planting import GOOD, SIMULATED, Change, is_listener, planted, polling, raising, sending, sent_through, silent

HOOKS = [f"kcoro_{name}" for name in plugins.transport("mem").__annotations__ if name not in ("distribution", "info")]
DATAGRAMS = {hook for hook in HOOKS if "datagram" in hook}


def states(results: list[HookResult]) -> dict[str, str]:
    return {result.hook: result.state for result in results}


def test_every_hook_of_a_transport_passes(scheme: str) -> None:
    """Row: T7."""
    results = trio.run(run_hooks, scheme)
    able = Capability.DATAGRAMS in plugins.transport(scheme).info.capabilities
    for result in results:
        expected = "passed" if able or result.hook not in DATAGRAMS else "does not apply"
        assert (result.hook, result.state) == (result.hook, expected), result.text
        assert result.text


def test_every_hook_of_the_contract_is_checked() -> None:
    """Row: T7."""
    results = trio.run(run_hooks, "mem")
    expected = {"kcoro_transport_info", *HOOKS} - {"kcoro_load_seconds"}
    assert {result.hook for result in results} == expected


def deaf(endpoint: Any, spec: PollSpec) -> PollSpec:
    return PollSpec() if is_listener(endpoint) else spec


def asleep_after_a_while(conn: Any, header: bytes, parts: Any, lane: int) -> bool:
    return False


FAULTS: list[tuple[str, Change]] = [
    ("kcoro_transport_info", {"info": attrs.evolve(GOOD.info, api=7)}),
    ("kcoro_listen", {"listen": raising(OSError("no room"))}),
    ("kcoro_local_uri", {"local_uri": lambda listener: "wooden:x"}),
    ("kcoro_connect", {"connect": raising(RuntimeError("not today"))}),
    ("kcoro_accept", polling(deaf)),
    ("kcoro_peer", {"peer": lambda conn: "me"}),
    ("kcoro_send_frame", {"send_frame": asleep_after_a_while}),
    ("kcoro_recv_frame", sending(lambda f, n: [RawFrame(f.header, b"y" * len(f.payload))])),
    ("kcoro_poll_handle", polling(lambda e, s: s if is_listener(e) else PollSpec(ready_now=True))),
    ("kcoro_pump", {"pump": lambda e, now, ready: raising(ValueError("what?"))() if ready == 2 else None}),
    ("kcoro_tx_backlog", sent_through(put_past_the_bound)),
    ("kcoro_close", {"close": lambda e: None if is_listener(e) else leaves_without_a_word(e)}),
    ("kcoro_abort", {"abort": lambda c: None if c.end is not None else leaves_without_a_word(c)}),
    ("kcoro_poll_handle", {"set_waker": silent}),
]


@pytest.mark.parametrize(("hook", "change"), FAULTS, ids=[hook for hook, _ in FAULTS])
def test_a_hook_that_does_not_work_fails_and_those_behind_it_are_not_reached(
    hook: str, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row: T7."""
    vtable, _ = planted(change)
    real = plugins.transport
    monkeypatch.setattr(plugins, "transport", lambda uri: vtable if uri.startswith("mem") else real(uri))

    async def main() -> list[HookResult]:
        return await run_hooks("mem", seconds=0.3)

    results = states(trio.run(main))
    assert [name for name, state in results.items() if state == "failed"] == [hook]
    behind = list(results)[list(results).index(hook) + 1 :]
    assert {results[name] for name in behind if name not in DATAGRAMS} <= {"not reached"}


@pytest.mark.parametrize(
    ("hook", "change"),
    [
        ("kcoro_datagram_limit", {"datagram_limit": lambda conn: 0}),
        ("kcoro_send_datagram", {"send_datagram": lambda conn, header, parts: False}),
        ("kcoro_recv_datagram", {"recv_datagram": lambda conn: RawFrame(bytes(20), b"somebody else's")}),
    ],
)
def test_a_hook_for_datagrams_that_does_not_work_fails(
    hook: str, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row: T7."""
    vtable = attrs.evolve(SIMULATED, **change)
    monkeypatch.setattr(plugins, "transport", lambda uri: vtable)
    results = states(trio.run(run_hooks, "sim"))
    assert [name for name, state in results.items() if state == "failed"] == [hook]


def test_who_verifies_without_having_promised_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row: T7."""
    info = attrs.evolve(GOOD.info, capabilities=GOOD.info.capabilities & ~Capability.PEER_IDENTITY)
    vtable = attrs.evolve(GOOD, info=info, peer=lambda conn: Identity("uid", verified=True, uid=1))
    monkeypatch.setattr(plugins, "transport", lambda uri: vtable)
    assert states(trio.run(run_hooks, "mem"))["kcoro_peer"] == "failed"


def test_the_command_prints_plain_lines_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each hook, and exit code 0. Row: T7."""
    assert cli.main(["harness", "mem:"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 18
    said = {line.split()[0]: line for line in lines[1:]}
    assert all(" PASS " in line for hook, line in said.items() if hook not in DATAGRAMS)
    assert all("DATAGRAMS is not claimed" in said[hook] for hook in DATAGRAMS)


def test_the_command_prints_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """Row: T7."""
    assert cli.main(["harness", "mem:", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert {result["state"] for result in results if result["hook"] not in DATAGRAMS} == {"passed"}


def test_a_failure_is_exit_code_1_and_says_what_everybody_waits_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row: T7."""
    vtable, _ = planted(polling(deaf))
    monkeypatch.setattr(plugins, "transport", lambda uri: vtable)
    assert cli.main(["harness", "mem:", "--timeout", "0.2"]) == 1
    out = capsys.readouterr().out
    assert "kcoro_accept          FAIL" in out
    assert "nothing came of it within 0.2 s; poll_handle says: listener PollSpec(" in out


def test_a_transport_that_is_not_there_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    """Row: T7."""
    assert cli.main(["harness", "wooden:"]) == 2
    assert "no installed plugin serves 'wooden:'" in capsys.readouterr().err
