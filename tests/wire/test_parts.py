# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The small parts below a connection: order, outbox, request map, ledger and liveness. Rows: W1, N1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcoro_core.errors import NoBuffers, ProtocolError
from kcoro_core.wire.commands import Command
from kcoro_core.wire.handles import HandleTable
from kcoro_core.wire.ledger import Ledger
from kcoro_core.wire.liveness import Liveness
from kcoro_core.wire.order import Order, is_newer, next_serial
from kcoro_core.wire.outbox import Entry, Outbox
from kcoro_core.wire.requests import RequestMap, RequestState

LAST = 0xFFFF_FFFF


# --- order -----------------------------------------------------------------------------------------------------------


@given(st.integers(0, LAST), st.integers(1, (1 << 31) - 1))
def test_serials_compare_around_the_wrap(serial: int, steps: int) -> None:
    """A serial is newer than all within half a round behind it, wherever it stands. Row: N3b."""
    later = (serial + steps) & LAST

    assert is_newer(later, serial)
    assert not is_newer(serial, later)
    assert not is_newer(serial, serial)
    assert next_serial(LAST) == 0


def test_frames_are_read_in_order_and_a_gap_or_a_double_is_named() -> None:
    """Only the next number is taken, across the wrap; a refused one counts nothing. Row: N3b."""
    order = Order(expected=LAST)
    order.read(LAST)
    order.read(0)

    with pytest.raises(ProtocolError, match="frames are missing"):
        order.read(2)
    with pytest.raises(ProtocolError, match="it was there before"):
        order.read(0)
    order.read(1)


def test_the_last_numbers_are_known_across_the_wrap() -> None:
    """Of either direction, as they stood on the frames. Row: N3b."""
    order = Order(outgoing=LAST, expected=LAST)
    seen = []
    for number in (LAST, 0, 1):
        order.read(number)
        order.outgoing = next_serial(order.outgoing)
        seen.append((order.last_written, order.last_read))

    assert seen == [(LAST, LAST), (0, 0), (1, 1)]


# --- outbox ----------------------------------------------------------------------------------------------------------


def test_control_goes_first_and_channels_keep_their_order() -> None:
    """Frames of the connection overtake those of channels; no channel frame overtakes another. Row: N1."""
    box = Outbox()
    entries = [box.put(Entry(Command.SEND, 1, number)) for number in (1, 2)]
    ping = box.put_control(Entry(Command.PING))

    for expected in (ping, *entries):
        assert box.head() is expected
        assert box.pop(expected)
    assert box.head() is None
    assert len(box) == 0


def test_a_frame_that_was_not_written_is_withdrawn_without_a_trace() -> None:
    """Withdrawing works once, leaves no hole, and what was withdrawn cannot be written. Row: N1."""
    box = Outbox()
    first, second = (box.put(Entry(Command.SEND, 1, number)) for number in (1, 2))

    assert box.withdraw(first)
    assert not box.withdraw(first)
    assert not box.pop(first)
    assert box.pop(second)
    assert not box.withdraw(second)
    assert len(box) == 0


def test_pongs_that_wait_become_one() -> None:
    """A peer that asks faster than it reads gets one answer, the last. Row: N1."""
    box = Outbox()
    for number in range(100):
        box.put_control(Entry(Command.PONG, parts=(bytes([number]),)))

    assert len(box) == 1
    head = box.head()
    assert head is not None
    assert head.parts == (b"c",)


def test_nothing_is_queued_behind_a_seal() -> None:
    """BYE is the last frame of its side, whatever is asked for later. Row: N6."""
    box = Outbox()
    box.seal(Entry(Command.BYE))
    box.put(Entry(Command.CANCEL, 1, 1))
    assert len(box) == 1

    box.clear()
    box.put(Entry(Command.SEND, 1, 1))
    assert len(box) == 1


# --- the request map -------------------------------------------------------------------------------------------------


def test_request_ids_wrap_and_skip_zero_and_those_in_flight() -> None:
    """Ids grow modulo 2^32; 0 is never used, nor one that still waits for its answer. Row: N1."""
    requests = RequestMap(LAST - 1)
    requests.limit = 10
    first = [requests.add(Command.INFO, 1, ()).request_id for _ in range(4)]
    assert first == [LAST - 1, LAST, 1, 2]

    again = RequestMap(LAST)
    again.limit = 10
    kept = again.add(Command.INFO, 1, ())
    again._next = LAST
    assert again.add(Command.INFO, 1, ()).request_id == 1
    assert kept.request_id == LAST


def test_beyond_the_bound_nothing_is_asked() -> None:
    """At the bound there is no room, one below there is. Row: W3."""
    requests = RequestMap()
    requests.limit = 2
    requests.check_room()
    requests.add(Command.INFO, 1, ())
    requests.check_room()
    last = requests.add(Command.INFO, 1, ())
    with pytest.raises(NoBuffers, match="2 requests are in flight"):
        requests.check_room()

    requests.remove(last.request_id)
    requests.check_room()


def test_an_answer_to_what_nobody_asked_is_a_protocol_error() -> None:
    """An unknown id, another channel, or a request that was never written: each is forged. Row: N1."""
    requests = RequestMap()
    requests.limit = 1
    request = requests.add(Command.INFO, 1, ())
    with pytest.raises(ProtocolError, match="nobody asked"):
        requests.answered(request.request_id, 1)

    request.state, request.written = RequestState.WRITTEN, True
    for request_id, channel_id in ((99, 1), (request.request_id, 3)):
        with pytest.raises(ProtocolError, match="nobody asked"):
            requests.answered(request_id, channel_id)
    assert requests.answered(request.request_id, 1) is request


def test_what_is_over_cannot_be_named_again() -> None:
    """A request that nobody waits for any more is no longer its owner's, though its id stays taken. Row: N1."""
    requests = RequestMap()
    requests.limit = 1
    request = requests.add(Command.INFO, 1, ())
    request.state = RequestState.ABANDONED

    with pytest.raises(ValueError, match="not in flight"):
        requests.mine(request.request_id)
    assert request.request_id in requests


# --- handles ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("connecting", "good", "bad"), [(True, (2, 4, 100), (0, 1, 3)), (False, (1, 3, 99), (0, 2))])
def test_channel_ids_are_odd_on_one_side_even_on_the_other_and_used_once(
    connecting: bool, good: tuple[int, ...], bad: tuple[int, ...]
) -> None:
    """An id of the wrong side, of 0, or one that is not above the last is refused. Row: N8."""
    table = HandleTable(connecting)
    table.limit = 2
    for channel_id in good:
        for wrong in bad:
            with pytest.raises(ProtocolError, match="not a new id"):
                table.open_theirs(wrong)
        table.open_theirs(channel_id)
        with pytest.raises(ProtocolError, match="not a new id"):
            table.open_theirs(channel_id)
        assert table.was_theirs(channel_id)

    assert [table.open_mine().id for _ in range(2)] == ([1, 3] if connecting else [2, 4])
    with pytest.raises(NoBuffers, match="2 channels"):
        table.open_mine()


def test_channel_ids_come_to_an_end_instead_of_starting_again() -> None:
    """When all ids were used once, opening is refused with the remedy. Row: N8."""
    table = HandleTable(connecting=True)
    table.limit = 10
    table._next = LAST

    assert table.open_mine().id == LAST
    with pytest.raises(NoBuffers, match="dial again"):
        table.open_mine()


# --- the ledger ------------------------------------------------------------------------------------------------------


def pushed(*request_ids: int) -> Ledger:
    """A ledger with elements on their way."""
    ledger = Ledger()
    for request_id in request_ids:
        ledger.push(request_id)
        ledger.written(request_id)
    return ledger


def test_an_element_is_unsettled_until_it_is_confirmed() -> None:
    """Its slot is held from the push to the acknowledgement, and then once more by nobody. Row: N1b."""
    ledger = pushed(7)
    assert ledger.unsettled == 1
    assert ledger.take(7) == ()
    assert ledger.unsettled == 0
    with pytest.raises(ProtocolError, match="no element of it is under way"):
        ledger.take(7)


def test_an_element_that_was_not_written_cannot_be_confirmed() -> None:
    """A peer that confirms what it cannot have is refused, and nothing is settled by it. Row: N1b."""
    ledger = Ledger()
    ledger.push(1)
    for settle in (ledger.take, ledger.put_back):
        with pytest.raises(ProtocolError, match="under way"):
            settle(1)
    assert ledger.unsettled == 1


def test_elements_come_back_together_and_in_their_old_order() -> None:
    """The first that returns waits for its older and younger neighbours, whatever becomes of them. Row: N1b."""
    ledger = pushed(1, 2, 3)

    assert ledger.put_back(2) == ()
    assert ledger.unsettled == 3
    assert ledger.take(1) == ()
    assert ledger.put_back(3) == (2, 3)
    assert ledger.unsettled == 0


def test_elements_pushed_after_the_first_return_are_not_waited_for() -> None:
    """A busy receiver cannot hold back for ever what another gave back. Row: N1b."""
    ledger = pushed(1, 2)
    assert ledger.put_back(1) == ()
    ledger.push(3)
    ledger.written(3)

    assert ledger.take(2) == (1,)
    assert ledger.unsettled == 1
    assert ledger.put_back(3) == (3,)


def test_only_the_first_return_decides_how_long_is_waited() -> None:
    """A second one does not extend the wait to what was pushed meanwhile. Row: N1b."""
    ledger = pushed(1, 2, 3)
    assert ledger.put_back(1) == ()
    ledger.push(4)
    ledger.written(4)
    assert ledger.put_back(2) == ()
    assert ledger.take(3) == (1, 2)


@given(st.permutations(range(6)), st.sets(st.integers(0, 5)))
def test_whatever_comes_back_comes_back_sorted_and_once(order: list[int], returned: set[int]) -> None:
    """In every order of settling, the elements that return are handed on once, in order of pushing. Row: N1b."""
    ledger, back = pushed(*range(6)), []
    for request_id in order:
        ready = ledger.put_back(request_id) if request_id in returned else ledger.take(request_id)
        back.append(ready)

    assert [number for ready in back for number in ready] == sorted(returned)
    assert sum(bool(ready) for ready in back) == bool(returned)
    assert ledger.unsettled == 0


def test_a_ledger_that_ends_tells_what_is_known_of_each() -> None:
    """Unwritten, written, and returned elements are told apart, in order of pushing. Row: N6."""
    ledger = pushed(1, 2)
    ledger.push(3)
    ledger.put_back(2)

    assert ledger.clear() == [(1, True, False), (2, True, True), (3, False, False)]
    assert ledger.clear() == []
    assert ledger.unsettled == 0


# --- liveness --------------------------------------------------------------------------------------------------------


def test_silence_is_asked_about_twice_and_then_is_death() -> None:
    """PING after each keepalive of silence; dead after two unanswered ones. Row: N6."""
    liveness = Liveness(keepalive=10, idle=1000, heard_at=0)
    assert liveness.due(9.9) is None
    assert liveness.due(10) == (1).to_bytes(8, "big")
    assert liveness.due(10) is None
    assert liveness.due(20) == (2).to_bytes(8, "big")
    assert liveness.due(29) is None
    assert not liveness.dead(29.9)
    assert liveness.next_deadline() == 30
    assert liveness.dead(30)


def test_idle_ends_a_peer_even_before_the_pings_do() -> None:
    """The shorter of the two patiences counts. Row: N6."""
    liveness = Liveness(keepalive=10, idle=15, heard_at=0)
    assert liveness.due(10) is not None
    assert liveness.next_deadline() == 15
    assert liveness.dead(15)


def test_whatever_is_heard_is_a_sign_of_life() -> None:
    """Any byte starts the silence anew, though the PONG itself has not come. Row: N6."""
    liveness = Liveness(keepalive=10, idle=1000, heard_at=0)
    liveness.due(10)
    liveness.heard(19)
    assert not liveness.dead(48)
    assert liveness.due(28.9) is None
    assert liveness.due(29) is not None


def test_a_pong_answers_one_ping_and_what_was_asked_before() -> None:
    """The last PING is measured, an older one is accepted, anything else is forged. Row: N6."""
    liveness = Liveness(keepalive=10, idle=1000, heard_at=0)
    one, two = liveness.due(10), liveness.due(20)
    assert one is not None
    assert two is not None
    assert liveness.ping(20) is None

    assert liveness.pong(one, 21) is None
    assert liveness.pong(two, 21) == 1
    for forged in (one, two, b"\0" * 8, b"\0" * 7 + b"\x03", b"", b"\1"):
        with pytest.raises(ProtocolError, match="no PING of ours"):
            liveness.pong(forged, 22)
    assert liveness.ping(22) == (3).to_bytes(8, "big")
