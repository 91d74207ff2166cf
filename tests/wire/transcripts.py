# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Golden transcripts: short conversations, one for each feature, recorded so that each side can be played again alone.

A conversation is a function that takes a ``Tape``: it has either side do something (``tape.a(...)``, ``tape.b(...)``),
has frames cross, and lets time pass. The tape keeps, for each side, what it did, what it read and when it wrote. So a
side can be played again from bytes alone, however these are cut, and must say and write the same.

Rule 1: nothing in a conversation depends on anything but the tape: request and channel ids are those of the protocol.
Rule 2: whoever builds a command, or lets a flag stand on one, adds a conversation that has it: a test counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import define, field, frozen

from kcoro_core.errors import ProtocolError
from kcoro_core.semantics import Kind, Overflow
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.connection import Connection, Side
from kcoro_core.wire.events import Event
from kcoro_core.wire.frame import Frame, FrameDecoder
from kcoro_core.wire.hello import Limits
from kcoro_core.wire.messages import Attributes, ChannelInfo, Closing, Listed, OpenFlag, OpenRequest, Reason, Rights
from kcoro_core.wire.remote_select import Readiness

from .pair import BUFFERED_4, NODES, NONCES, written

LIMITS = Limits(max_frame=4096, max_message=4100, max_channels=4, max_inflight_requests=16, receive_budget=8192)

Act = Callable[[Connection], object]


@frozen
class Did:
    """This side did something."""

    act: Act


@frozen
class Wrote:
    """This side wrote all that it had."""

    flush: bool = True


@frozen
class Waited:
    """The clock of this side moved on."""

    seconds: float


@frozen
class Read:
    """This side read a frame."""

    frame: Frame


Step = Did | Wrote | Waited | Read


@define
class Played:
    """What a side said, and what it wrote."""

    events: list[Event] = field(factory=list)
    wrote: list[Frame] = field(factory=list)


@define(eq=False)
class Player:
    """One side at work: a connection that was started, and its clock."""

    side: Side
    connection: Connection = field(init=False)
    now: float = 0.0
    played: Played = field(factory=Played)

    def __attrs_post_init__(self) -> None:
        self.connection = new_connection(self.side)
        self.connection.start(self.now)

    def do(self, step: Did | Wrote | Waited) -> None:
        """One step that is no reading."""
        match step:
            case Did(act):
                act(self.connection)
            case Wrote(flush):
                self.played.wrote += written(self.connection, flush)
            case Waited(seconds):
                self.now += seconds
                self.played.events += self.connection.handle_timeout(self.now)

    def read(self, frame: Frame) -> None:
        """One frame that came."""
        self.played.events += self.connection.receive_frame(frame, self.now)


def new_connection(side: Side) -> Connection:
    """The connecting side is always ``a``."""
    which = side is Side.ACCEPTING
    return Connection(side, NODES[which], NONCES[which], LIMITS)


@define(eq=False)
class Tape:
    """A conversation while it is recorded."""

    sides: dict[Side, Player] = field(init=False)
    steps: dict[Side, list[Step]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.sides = {side: Player(side) for side in Side}
        self.steps = {side: [] for side in Side}

    def a(self, act: Act) -> None:
        """The connecting side does something."""
        self._do(Side.CONNECTING, Did(act))

    def b(self, act: Act) -> None:
        """The accepting side does something."""
        self._do(Side.ACCEPTING, Did(act))

    def wait(self, seconds: float) -> None:
        """Time passes on both sides."""
        for side in Side:
            self._do(side, Waited(seconds))

    def to_b(self, flush: bool = True) -> None:
        """What the connecting side has to write crosses."""
        self._cross(Side.CONNECTING, Side.ACCEPTING, flush)

    def to_a(self, flush: bool = True) -> None:
        """What the accepting side has to write crosses."""
        self._cross(Side.ACCEPTING, Side.CONNECTING, flush)

    def cross(self) -> None:
        """Frames cross until nobody has any."""
        while any(player.connection.has_frames() for player in self.sides.values()):
            self.to_b()
            self.to_a()

    def _cross(self, here: Side, there: Side, flush: bool) -> None:
        before = len(self.sides[here].played.wrote)
        self._do(here, Wrote(flush))
        for frame in self.sides[here].played.wrote[before:]:
            self.steps[there].append(Read(frame))
            self.sides[there].read(frame)

    def _do(self, side: Side, step: Did | Wrote | Waited) -> None:
        self.steps[side].append(step)
        self.sides[side].do(step)


@frozen
class Transcript:
    """A recorded conversation, from both sides."""

    steps: dict[Side, list[Step]]
    played: dict[Side, Played]

    def stream(self, side: Side) -> bytes:
        """The bytes that this side reads."""
        return b"".join(step.frame.encode() for step in self.steps[side] if isinstance(step, Read))

    def frames(self) -> Iterator[Frame]:
        """Every frame of both directions."""
        for played in self.played.values():
            yield from played.wrote

    def play(self, side: Side, pieces: list[bytes]) -> Played:
        """Play a side again, from the bytes that it reads, in these pieces."""
        player = Player(side)
        todo = iter(self.steps[side])
        until_read(player, todo)
        decoder = FrameDecoder()
        for piece in pieces:
            decoder.feed(piece)
            while (frame := decoder.next_frame(player.connection.frame_limit)) is not None:
                player.read(frame)
                until_read(player, todo)
        if decoder.buffered:
            raise ProtocolError(f"{decoder.buffered} bytes are left over")
        return player.played


def until_read(player: Player, todo: Iterator[Step]) -> None:
    """Do what comes before the next frame is read."""
    for step in todo:
        if isinstance(step, Read):
            return
        player.do(step)


def record(conversation: Callable[[Tape], None]) -> Transcript:
    """Hold a conversation."""
    tape = Tape()
    conversation(tape)
    return Transcript(tape.steps, {side: player.played for side, player in tape.sides.items()})


# ---------------------------------------------------------------------------------------------------------------------
# The conversations
# ---------------------------------------------------------------------------------------------------------------------


def opened(tape: Tape) -> None:
    """Hands are shaken, and channel 1 is open; the request had the id 1."""
    tape.cross()
    tape.a(lambda a: a.open(OpenRequest("jobs")))
    tape.cross()
    tape.b(lambda b: b.accept(1, BUFFERED_4))
    tape.cross()


def left(tape: Tape) -> None:
    """The connecting side gives the handle up and leaves."""
    tape.a(lambda a: a.detach(1))
    tape.cross()
    tape.a(lambda a: a.bye(0.0))
    tape.cross()


def short(tape: Tape) -> None:
    """One element sent, and nothing else."""
    opened(tape)
    tape.a(lambda a: a.send(1, b"one"))
    tape.cross()
    tape.b(lambda b: b.done(2))
    tape.cross()


def requests(tape: Tape) -> None:
    """Each request once: sent, received, asked, closed; acknowledged alone and on the way."""
    opened(tape)
    tape.a(lambda a: a.send(1, b"one"))
    tape.a(lambda a: a.recv(1))
    tape.a(lambda a: a.recv(1))
    tape.cross()
    tape.b(lambda b: b.done(2))
    tape.b(lambda b: b.push(3, b"one"))
    tape.b(lambda b: b.push(4, b"two", True))
    tape.cross()
    tape.a(lambda a: a.taken(3))
    tape.a(lambda a: a.info(1))
    tape.to_b(flush=False)
    tape.a(lambda a: a.taken(4))
    tape.to_b()
    info = ChannelInfo(Kind.BUFFERED, Overflow.SUSPEND, False, 4, 0, 1, 0, 0, 1, 2, 0)
    tape.b(lambda b: b.inform(5, info))
    tape.cross()
    tape.a(lambda a: a.close(1, Closing(Reason.TEXT, "enough")))
    tape.cross()
    tape.b(lambda b: b.tell_closed(1, Closing(Reason.TEXT, "enough")))
    tape.b(lambda b: b.done(6))
    tape.cross()
    left(tape)


def refusals(tape: Tape) -> None:
    """What is refused: an open, a send without room, a receive that was cancelled, an element that came back."""
    opened(tape)
    tape.a(lambda a: a.open(OpenRequest("nothing")))
    tape.cross()
    tape.b(lambda b: b.refuse(2, WireCode.ENOENT, "nothing is there"))
    tape.a(lambda a: a.send(1, b"late", 0))
    tape.a(lambda a: a.recv(1))
    tape.cross()
    tape.b(lambda b: b.refuse(3, WireCode.EAGAIN))
    tape.a(lambda a: a.cancel(4, 0.0))
    tape.cross()
    tape.b(lambda b: b.refuse(4, WireCode.ECANCELED))
    tape.a(lambda a: a.recv(1))
    tape.cross()
    tape.a(lambda a: a.cancel(5, 0.0))
    tape.wait(1.0)
    tape.b(lambda b: b.push(5, b"too late"))
    tape.cross()
    left(tape)


def both_ways(tape: Tape) -> None:
    """Each side opens at the other; the accepting side leaves while requests wait."""
    opened(tape)
    tape.b(lambda b: b.open(OpenRequest("back")))
    tape.cross()
    tape.a(lambda a: a.accept(1, BUFFERED_4))
    tape.cross()
    tape.b(lambda b: b.send(2, b"x" * 300))
    tape.a(lambda a: a.recv(1))
    tape.cross()
    tape.b(lambda b: b.bye(0.0, WireCode.EACCES, "go away"))
    tape.cross()


def calls(tape: Tape) -> None:
    """Calls on the connection and on a handle: answered, refused, cancelled, and without an answer."""
    opened(tape)
    tape.b(lambda b: b.call(0, 70, b"how many?"))
    tape.a(lambda a: a.call(1, 64, b"sum"))
    tape.a(lambda a: a.call(0, 65, b"for ever"))
    tape.a(lambda a: a.tell(1, 66, b"by the way"))
    tape.cross()
    tape.a(lambda a: a.answer(1, b"three"))
    tape.b(lambda b: b.answer(2, b"42"))
    tape.a(lambda a: a.cancel(3, 0.0))
    tape.cross()
    tape.b(lambda b: b.refuse(3, WireCode.ECANCELED))
    tape.cross()
    left(tape)


def lent(tape: Tape) -> None:
    """Slots are lent and used, lent again alone, asked about, recalled, and given back behind the data."""
    tape.cross()
    tape.a(lambda a: a.open(OpenRequest("jobs", OpenFlag.LEND)))
    tape.cross()
    tape.b(lambda b: b.accept(1, BUFFERED_4))
    tape.b(lambda b: b.start_lending(1, 4))
    tape.b(lambda b: b.lend(1, 4))
    tape.cross()
    for element in (b"one", b"two", b"three"):
        tape.a(lambda a, element=element: a.send_data(1, element))
    tape.cross()
    tape.b(lambda b: b.lend(1, 3))
    tape.cross()
    tape.a(lambda a: a.send_data(1, b"four"))
    tape.b(lambda b: b.ask(1))
    tape.cross()
    tape.b(lambda b: b.recall(1))
    tape.cross()
    left(tape)


def drained(tape: Tape) -> None:
    """The accepting side finishes one request, refuses the one behind its announcement, and leaves."""
    opened(tape)
    tape.a(lambda a: a.send(1, b"in time"))
    tape.cross()
    tape.b(lambda b: b.drain(1500))
    tape.a(lambda a: a.send(1, b"too late"))
    tape.cross()
    tape.b(lambda b: b.done(2))
    tape.b(lambda b: b.bye(0.0))
    tape.cross()


def selects(tape: Tape) -> None:
    """Clauses stand and are told; one is claimed, one is claimed with an element, one is denied; all are withdrawn."""
    opened(tape)
    both = Readiness.SEND_READY | Readiness.RECV_READY
    tape.a(lambda a: a.register(1, 7, both))
    tape.a(lambda a: a.register(1, 8, both | Readiness.CLOSED))
    tape.cross()
    tape.b(lambda b: b.notify(2, Readiness.RECV_READY, 1))
    tape.b(lambda b: b.notify(3, Readiness.SEND_READY, 1))
    tape.cross()
    tape.a(lambda a: a.claim(2, 1, Readiness.RECV_READY))
    tape.a(lambda a: a.claim(3, 1, Readiness.SEND_READY, b"element"))
    tape.cross()
    tape.b(lambda b: b.push(4, b"one"))
    tape.b(lambda b: b.refuse(5, WireCode.EAGAIN, "denied"))
    tape.cross()
    tape.a(lambda a: a.taken(4))
    tape.a(lambda a: a.unregister(2))
    tape.cross()
    tape.b(lambda b: b.refuse(2, WireCode.ECANCELED))
    tape.b(lambda b: b.notify(3, Readiness.CLOSED, 0))
    tape.cross()
    left(tape)


def named(tape: Tape) -> None:
    """Names are asked for, page by page; a channel is made, and made again."""
    tape.cross()
    tape.a(lambda a: a.ask_names())
    tape.cross()
    tape.b(lambda b: b.names(1, [Listed(f"{i:0200}", Kind.BUFFERED, Rights.RECV) for i in range(30)]))
    tape.cross()
    tape.a(lambda a: a.ask_names("jobs"))
    tape.a(lambda a: a.open(OpenRequest("jobs", OpenFlag.CREATE | OpenFlag.EXCL, Kind.BUFFERED, None, 4)))
    tape.cross()
    tape.b(lambda b: b.names(2, []))
    tape.b(lambda b: b.refuse(3, WireCode.EEXIST, "the name is taken"))
    tape.cross()


def liveness(tape: Tape) -> None:
    """Signs of life, asked for by time and by will."""
    tape.cross()
    tape.a(lambda a: a.ping(0.0))
    tape.cross()
    tape.wait(40.0)
    tape.cross()
    tape.b(lambda b: b.bye(40.0))
    tape.cross()


def pieces(tape: Tape) -> None:
    """An element that takes two frames, with a sign of life asked for between them."""
    opened(tape)
    tape.a(lambda a: a.send(1, bytes(range(256)) * 16))
    tape.b(lambda b: b.ping(0.0))
    tape.cross()
    tape.b(lambda b: b.done(2))
    tape.cross()


def ahead(tape: Tape) -> None:
    """Receives that nobody waits for: one is taken, one put back, one cancelled, one waited for."""
    opened(tape)
    for _ in range(4):
        tape.a(lambda a: a.recv(1, ahead=True))
    tape.cross()
    tape.b(lambda b: b.push(2, b"one"))
    tape.b(lambda b: b.push(3, b"two"))
    tape.cross()
    tape.a(lambda a: a.taken(2))
    tape.b(lambda b: b.recall_ahead(1))
    tape.to_a()
    tape.a(lambda a: a.putback(3))
    tape.a(lambda a: a.cancel(4, 0.0))
    tape.a(lambda a: a.give_back_ahead(1))
    tape.cross()
    tape.b(lambda b: b.refuse(4, WireCode.ECANCELED))
    tape.b(lambda b: b.push(5, b"three"))
    tape.cross()
    left(tape)


def can_lose(end: Connection) -> None:
    """As if both had said so; their HELLO is the same in all transcripts."""
    end.lossy.agreed = True


def lossy(tape: Tape) -> None:
    """Values that nobody asks for, those of them that go as frames: the first, one in pieces, one again, the end."""
    tape.cross()
    tape.a(can_lose)
    tape.b(can_lose)
    tape.a(lambda a: a.open(OpenRequest("pose", OpenFlag.LOSSY)))
    tape.cross()
    tape.b(lambda b: b.accept(1, Attributes(Kind.CONFLATED, Overflow.SUSPEND, 1, Rights.RECV, 4100)))
    tape.b(lambda b: b.start_lossy(1))
    tape.b(lambda b: b.send_lossy(1, b"one", True, int))
    tape.b(lambda b: b.send_lossy(1, bytes(range(256)) * 16, True, int))
    tape.cross()
    tape.b(lambda b: b.repeat_lossy(1, bytes(range(256)) * 16, int))
    tape.b(lambda b: b.tell_closed(1, Closing(Reason.TEXT, "landed")))
    tape.b(lambda b: b.end_lossy(1, WireCode.EPIPE, "the channel is closed"))
    tape.cross()
    left(tape)


CONVERSATIONS: dict[str, Callable[[Tape], None]] = {
    talk.__name__: talk
    for talk in (
        short,
        requests,
        refusals,
        both_ways,
        calls,
        lent,
        ahead,
        drained,
        selects,
        named,
        liveness,
        pieces,
        lossy,
    )
}
"""By name; each ends as it wishes."""

TRANSCRIPTS: dict[str, Transcript] = {name: record(talk) for name, talk in CONVERSATIONS.items()}
