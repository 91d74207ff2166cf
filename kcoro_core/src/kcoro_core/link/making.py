# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a link asks of the other side as a whole: a channel that is there, a new one, the names that there are.

Rule: each is one request with one answer, cancelled by asking like every other; names take one for each page.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from ..errors import KcoroError, ProtocolError
from ..hosts.port import current_host
from ..parking import cancelled_error, check_timeout, park, result, token_is_set
from ..semantics import Kind, Overflow
from ..wire.events import NamesReceived
from ..wire.messages import MAX_WEIGHT, Listed, OpenFlag, OpenRequest
from .arguments import check_count, check_hook, check_name
from .asking import UndeliveredHook
from .prefetch import Prefetch

if TYPE_CHECKING:
    from ..cancel import CancelToken
    from .link import Link
    from .remote import RemoteChannel

__all__ = ["make", "names", "open_channel"]

MOST_NAMES: Final = 65_536
"""How many names of a peer are read at most; whoever has more is not believed."""


class Wanted(str):
    """The name of a channel that is being opened, with the hook of the handle that it will have."""

    on_undelivered: UndeliveredHook | None

    def __new__(cls, name: str, on_undelivered: UndeliveredHook | None) -> Wanted:
        wanted = super().__new__(cls, name)
        wanted.on_undelivered = on_undelivered
        return wanted


@frozen
class Options:
    """How a channel is opened; see ``Link.open``."""

    prefetch: int = 0
    lend: bool = False
    on_undelivered: UndeliveredHook | None = None
    weight: int = 1
    lossy: bool = False

    @property
    def flags(self) -> OpenFlag:
        """What is asked of the home."""
        return (OpenFlag.LEND if self.lend else OpenFlag(0)) | (OpenFlag.LOSSY if self.lossy else OpenFlag(0))

    def check(self) -> None:
        """Raise ValueError for what makes no sense."""
        check_count(self.prefetch, 0, "prefetch, in elements")
        check_hook(self.on_undelivered)
        if check_count(self.weight, 1, "weight, in shares") > MAX_WEIGHT:
            raise ValueError(f"weight, in shares: at most {MAX_WEIGHT}, not {self.weight}")
        if self.lossy and (self.prefetch or self.lend):
            raise ValueError("lossy=True has values come unasked already: leave prefetch= and lend= out")


async def _ask(
    link: Link, queue: Callable[[], int], about: str, what: str, timeout: float | None, cancel: CancelToken | None
) -> Any:
    """Make the request that ``queue`` queues, and wait for its answer; ``about`` is what it asks for."""
    limit = check_timeout(timeout)
    host = current_host()
    link._enter(host)
    if cancel is not None and token_is_set(cancel, host):
        await host.spend()
        raise cancelled_error(cancel, what)
    await host.cancel_point()
    try:
        link.check_usable(link)
        number = queue()
    except KcoroError:
        await host.spend()
        raise
    op = link.request(number, False, about)
    await park(host, op, op.forget, limit, cancel)
    return await result(host, op, cancel, what)


async def open_channel(
    link: Link,
    name: str,
    options: Options,
    timeout: float | None,
    cancel: CancelToken | None,
) -> RemoteChannel:
    """Do what ``link.open`` says.

    :raises ValueError: an option makes no sense; nothing was asked.
    """
    options.check()
    wanted = OpenRequest(check_name(name), options.flags, weight=options.weight)
    what = f"open {name!r} over {link.uri}"
    about = Wanted(name, options.on_undelivered)
    channel: RemoteChannel = await _ask(link, lambda: link.wire.open(wanted), about, what, timeout, cancel)
    channel._lends = options.lend
    if options.prefetch:
        channel._prefetch = Prefetch(channel, options.prefetch)
        channel._prefetch.top_up()
    return channel


async def make(
    link: Link,
    wanted: tuple[str, Kind, int | None, Overflow | None],
    exist_ok: bool,
    timeout: float | None,
    cancel: CancelToken | None,
) -> RemoteChannel:
    """Do what ``link.make`` says: one OPEN with CREATE, whose answer opens the new channel."""
    name, kind, capacity, overflow = wanted
    check_name(name)
    if not isinstance(kind, Kind):
        raise ValueError(f"kind is one of RENDEZVOUS, BUFFERED and CONFLATED, not {kind!r}")
    flags = OpenFlag.CREATE if exist_ok else OpenFlag.CREATE | OpenFlag.EXCL
    request = OpenRequest(name, flags, kind, overflow, capacity)
    what = f"make {name!r} over {link.uri}"
    channel: RemoteChannel = await _ask(link, lambda: link.wire.open(request), name, what, timeout, cancel)
    return channel


async def names(link: Link, timeout: float | None, cancel: CancelToken | None) -> list[Listed]:
    """Do what ``link.list`` says: ask for page after page, until none is left; ``timeout`` is for all of them.

    :raises ProtocolError: the other side tells names twice, or more than MOST_NAMES; the link goes on.
    """
    host = current_host()
    end = None if check_timeout(timeout) is None or not timeout else host.now() + timeout
    found: list[Listed] = []
    more = True
    while more:
        after = found[-1].name if found else ""
        left = timeout if end is None else max(0.0, end - host.now())
        page: NamesReceived = await _ask(
            link, partial(link.wire.ask_names, after), "names", f"list names over {link.uri}", left, cancel
        )
        if page.names and page.names[0].name.encode() <= after.encode():
            raise ProtocolError(f"{link!r}: the other side answers with names that it has told already")
        found.extend(page.names)
        more = page.more
        if len(found) > MOST_NAMES:
            raise ProtocolError(f"{link!r}: the other side has told {len(found)} names, and goes on")
    return found
