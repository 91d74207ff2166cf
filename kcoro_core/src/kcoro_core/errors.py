# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The taxonomy of errors: one class per outcome, the same on every engine, host and transport.

Each class carries four facts that a program or a person may rely on:

``errno``   the operating system's number for it (the wire has numbers of its own, ``wire/codes.py``)
``code``    a stable text such as ``KC-CHAN-CLOSED``, never renamed
``fault``   whose doing it is: the caller's, the peer's, the medium's, or nobody's
``holds``   what is still true after it was raised

Rule 1: an error of this module means that the operation had *no effect*, unless ``outcome`` says ``IN_DOUBT``.
Rule 2: misuse (a wrong argument, a closed half) is ``ValueError``, as for files, and is no part of this taxonomy.
"""

from __future__ import annotations

import enum
import errno as _errno
from typing import Any, ClassVar

__all__ = [
    "AccessDenied",
    "AlreadyExists",
    "ChannelClosed",
    "CoroutineExit",
    "CreditOverrun",
    "DeadlineExceeded",
    "Fault",
    "KcoroError",
    "LinkLost",
    "MessageTooLong",
    "NoBuffers",
    "NotFound",
    "NotSupported",
    "OperationCancelled",
    "Outcome",
    "PluginError",
    "ProtocolError",
    "TransportError",
    "WouldBlock",
    "WrongLoop",
    "WrongState",
]


class Fault(enum.Enum):
    """Whose doing an error is; decides whether to mend the program, the plugin or the network."""

    CALLER = "caller"
    """The calling program asked for something that cannot be; change the call."""
    PEER = "peer"
    """The other end of a channel or link did it; the program here is right."""
    MEDIUM = "medium"
    """The network, the kernel or a crash did it; nobody's program is to blame."""
    PLUGIN = "plugin"
    """An installed plugin is broken or too old; mend or block that distribution."""
    NOBODY = "nobody"
    """An ordinary outcome, such as a deadline that passed; handle it and go on."""


class Outcome(enum.Enum):
    """What is known of an operation that raised; read it from ``error.outcome`` before you repeat anything."""

    NOT_DONE = "not done"
    """Known to have had no effect: a sent value is still the sender's, and repeating is safe."""
    IN_DOUBT = "in doubt"
    """The other end may or may not have done it; only the application can decide whether to repeat."""


class KcoroError(Exception):
    """Base of every error that kcoro raises on purpose; catch it to catch them all.

    ``index`` and ``clause`` are set when a select raised: the position of the clause that was decided
    (None when no single clause was) and the clause itself. ``outcome`` says whether the operation is known not done.
    """

    errno: ClassVar[int] = _errno.EINVAL
    code: ClassVar[str] = "KC-ERROR"
    fault: ClassVar[Fault] = Fault.CALLER
    holds: ClassVar[str] = "nothing was changed"

    index: int | None = None
    clause: Any = None
    outcome: Outcome = Outcome.NOT_DONE

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text} [{self.code}]" if text else f"[{self.code}] {self.holds}"


class WouldBlock(KcoroError):
    """A try found nobody and nothing to work with; try again later, or wait.

    Raised by ``try_*``, by ``timeout=0`` and by ``wait_all(0)``; never by an operation that may wait.
    """

    errno = _errno.EAGAIN
    code = "KC-WOULD-BLOCK"
    fault = Fault.NOBODY
    holds = "nothing was changed; a value that was offered is still the caller's"


class DeadlineExceeded(KcoroError):
    """The deadline passed while the operation waited, and it is known not done."""

    errno = _errno.ETIME
    code = "KC-DEADLINE"
    fault = Fault.NOBODY
    holds = "nothing was changed; a value that was offered is still the caller's"


class OperationCancelled(KcoroError):
    """An explicit cancel token ended the operation; ``reason`` is what was given to ``trigger``.

    The host's own cancellation (``trio.Cancelled``) is another thing, stays the host's and is never turned into this.
    """

    errno = _errno.ECANCELED
    code = "KC-CANCELLED"
    fault = Fault.NOBODY
    holds = "nothing was changed; a value that was offered is still the caller's"

    def __init__(self, message: str = "", reason: object = None) -> None:
        super().__init__(message)
        self.reason = reason


class ChannelClosed(KcoroError):
    """The channel is closed; for a receiver also drained. ``reason`` is what was given to ``close`` or ``cancel``."""

    errno = _errno.EPIPE
    code = "KC-CHAN-CLOSED"
    fault = Fault.PEER
    holds = "the channel stays closed; what was queued can still be received; an unsent value is still the caller's"

    def __init__(self, message: str = "", reason: object = None) -> None:
        super().__init__(message)
        self.reason = reason


class LinkLost(KcoroError):
    """The connection to the other side ended without a goodbye: a cut cable, a killed process, a broken plugin.

    A sibling of ``ChannelClosed`` and never a subclass: an abrupt end is not an orderly one. ``acked`` counts the
    elements of this channel that the other side is known to have taken, ``in_doubt`` those that it may have.
    """

    errno = _errno.EPIPE
    code = "KC-LINK-LOST"
    fault = Fault.MEDIUM
    holds = "acked elements arrived; those in doubt may have; everything else is still the caller's; dial again"

    def __init__(self, message: str = "", *, acked: int = 0, in_doubt: int = 0, reason: object = None) -> None:
        super().__init__(message)
        self.acked = acked
        self.in_doubt = in_doubt
        self.reason = reason


class NotSupported(KcoroError):
    """Nobody installed, or nothing at the other end, can do this; the message names what would."""

    errno = _errno.ENOTSUP
    code = "KC-NOT-SUPPORTED"
    holds = "nothing was started"


class MessageTooLong(KcoroError):
    """A message exceeds what both sides agreed to; it was refused before a byte was sent."""

    errno = _errno.EMSGSIZE
    code = "KC-TOO-LONG"
    holds = "nothing was sent; the link and the channel go on"


class NoBuffers(KcoroError):
    """A bound that protects memory was reached: requests in flight, channels, or bytes; wait for some to end."""

    errno = _errno.ENOBUFS
    code = "KC-NO-BUFFERS"
    fault = Fault.NOBODY
    holds = "nothing was started; the link and its other channels go on"


class AccessDenied(KcoroError):
    """The other side's identity or rights do not allow this operation."""

    errno = _errno.EACCES
    code = "KC-ACCESS"
    holds = "nothing was started"


class NotFound(KcoroError):
    """Nothing of that name, address or id exists at the other end."""

    errno = _errno.ENOENT
    code = "KC-NOT-FOUND"
    holds = "nothing was started"


class AlreadyExists(KcoroError):
    """The name, address or id is taken, and the call asked for a new one."""

    errno = _errno.EEXIST
    code = "KC-EXISTS"
    holds = "what exists is untouched"


class CreditOverrun(KcoroError):
    """The peer sent more than it was granted; its channel is reset, and the link ends on a second offence."""

    errno = _errno.EOVERFLOW
    code = "KC-CREDIT"
    fault = Fault.PEER
    holds = "what was accepted before stays accepted; the surplus was discarded"


class ProtocolError(KcoroError):
    """The peer sent something that the protocol does not allow; the link ends, other links go on."""

    errno = _errno.EPROTO
    code = "KC-PROTOCOL"
    fault = Fault.PEER
    holds = "nothing of the offending frame took effect; the link is closed"


class TransportError(KcoroError):
    """The medium failed or ended: what a transport plugin raises for the end of a connection, whatever the cause.

    The link turns it into ``LinkLost`` for those who wait; ``dial`` and ``serve`` raise it as it is. ``permanent`` True
    says that no waiting mends it, as a certificate that was refused: whoever has patience need not try again.
    """

    errno = _errno.ECONNRESET
    code = "KC-TRANSPORT"
    fault = Fault.MEDIUM
    holds = "the connection is unusable; its end was reported once"

    def __init__(self, message: str = "", *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class PluginError(KcoroError):
    """An installed plugin cannot be used; the message names its distribution, the hook and what mends it."""

    errno = _errno.ENOTSUP
    code = "KC-PLUGIN"
    fault = Fault.PLUGIN
    holds = "other plugins are unaffected; block this one with KCORO_PLUGINS=-NAME"


class WrongLoop(KcoroError, RuntimeError):
    """A channel, token, task or coroutine was used from another thread or run than the one it belongs to.

    Raised before any state is touched. ``portal()`` is the way in from another thread.
    """

    errno = _errno.EINVAL
    code = "KC-WRONG-LOOP"
    holds = "nothing was changed; call through portal(), or make the channel in this run"


class WrongState(KcoroError, RuntimeError):
    """A coroutine cannot do that in the state in which it is, or there is none where one is needed.

    The message names both states. ``Coroutine.state`` tells beforehand, in the thread to which the coroutine belongs.
    """

    errno = _errno.EINVAL
    code = "KC-WRONG-STATE"
    holds = "nothing was changed; the coroutine stays in the state that the message names"


class CoroutineExit(BaseException):
    """Raised in the body of a coroutine that is destroyed, at the call in which it waits; so ``finally`` blocks run.

    Never catch it for good: clean up and let it go on. It is no error, so that ``except Exception`` leaves it alone.
    """
