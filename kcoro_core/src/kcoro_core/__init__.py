# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Go-style channels and an exactly-once select for Python, the same inside one process and across processes."""

from importlib.metadata import version as _version

from .cancel import CancelToken
from .channel import Channel, channel
from .clauses import After, Clause, Done, Readable, Recv, Send, Signal, Triggered, Writable
from .config import Settings, settings
from .coroutine import Coroutine
from .dump import TaskDump, task_dump
from .engine import ENGINE_API, ChannelSnapshot, Rates
from .errors import (
    AccessDenied,
    AlreadyExists,
    ChannelClosed,
    CoroutineExit,
    CreditOverrun,
    DeadlineExceeded,
    Fault,
    KcoroError,
    LinkLost,
    MessageTooLong,
    NoBuffers,
    NotFound,
    NotSupported,
    OperationCancelled,
    Outcome,
    PluginError,
    ProtocolError,
    TransportError,
    WouldBlock,
    WrongLoop,
    WrongState,
)
from .halves import Receiver, Sender
from .hosts import trio as _trio  # noqa: F401 - registers itself, so that plain trio.run(main) works
from .link.answering import Call
from .link.bound import Redelivered
from .link.calls import CallFuture
from .link.closing import PeerError
from .link.dial import dial
from .link.draining import DrainReport
from .link.link import Link
from .link.remote import RemoteChannel
from .link.report import Joined, LinkReport, LinkSnapshot, Lost, Peer
from .link.serve import Server, serve
from .portal import Portal, portal
from .run import run, sleep
from .scope import Scope, Task, open_scope
from .select import Selected, Selector, select, try_select
from .semantics import (
    BIASED,
    BUFFERED,
    CONFLATED,
    DROP_LATEST,
    DROP_OLDEST,
    RAISE,
    RENDEZVOUS,
    RETURN,
    ROUND_ROBIN,
    SKIP,
    SUSPEND,
    UNBIASED,
    UNLIMITED,
    ClosedRule,
    CoroutineState,
    Kind,
    Overflow,
    SelectMode,
    Undelivered,
)
from .transport import TRANSPORT_API, Identity
from .wire.messages import ChannelInfo, Listed, Rights

__version__ = _version("kcoro-core")

__all__ = [
    "BIASED",
    "BUFFERED",
    "CONFLATED",
    "DROP_LATEST",
    "DROP_OLDEST",
    "ENGINE_API",
    "RAISE",
    "RENDEZVOUS",
    "RETURN",
    "ROUND_ROBIN",
    "SKIP",
    "SUSPEND",
    "TRANSPORT_API",
    "UNBIASED",
    "UNLIMITED",
    "AccessDenied",
    "After",
    "AlreadyExists",
    "Call",
    "CallFuture",
    "CancelToken",
    "Channel",
    "ChannelClosed",
    "ChannelInfo",
    "ChannelSnapshot",
    "Clause",
    "ClosedRule",
    "Coroutine",
    "CoroutineExit",
    "CoroutineState",
    "CreditOverrun",
    "DeadlineExceeded",
    "Done",
    "DrainReport",
    "Fault",
    "Identity",
    "Joined",
    "KcoroError",
    "Kind",
    "Link",
    "LinkLost",
    "LinkReport",
    "LinkSnapshot",
    "Listed",
    "Lost",
    "MessageTooLong",
    "NoBuffers",
    "NotFound",
    "NotSupported",
    "OperationCancelled",
    "Outcome",
    "Overflow",
    "Peer",
    "PeerError",
    "PluginError",
    "Portal",
    "ProtocolError",
    "Rates",
    "Readable",
    "Receiver",
    "Recv",
    "Redelivered",
    "RemoteChannel",
    "Rights",
    "Scope",
    "SelectMode",
    "Selected",
    "Selector",
    "Send",
    "Sender",
    "Server",
    "Settings",
    "Signal",
    "Task",
    "TaskDump",
    "TransportError",
    "Triggered",
    "Undelivered",
    "WouldBlock",
    "Writable",
    "WrongLoop",
    "WrongState",
    "channel",
    "dial",
    "open_scope",
    "portal",
    "run",
    "select",
    "serve",
    "settings",
    "sleep",
    "task_dump",
    "try_select",
]
