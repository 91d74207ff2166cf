# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What users pass to links: names, counts and addresses, checked before anything is started."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping

from ..errors import NotSupported
from ..transport import Capability, TransportInfo
from ..wire.messages import MAX_NAME

__all__ = [
    "address_of",
    "check_address",
    "check_authorize",
    "check_count",
    "check_element",
    "check_export",
    "check_hook",
    "check_medium",
    "check_name",
    "check_patience",
    "check_redelivery",
]

DROP = "drop"
"""Report an element once that a lost link leaves in doubt: at most once is what its receivers get."""
REQUEUE = "requeue"
"""Put it back at the head, with the redelivered mark: at least once is what they get."""


def check_name(name: object) -> str:
    """A name for a channel, as both sides check it.

    :raises ValueError: it is no text of 1 to 255 bytes in UTF-8.
    """
    if not isinstance(name, str) or not 0 < len(name.encode(errors="replace")) <= MAX_NAME:
        raise ValueError(f"the name of a channel is a text of 1 to {MAX_NAME} bytes, not {name!r}")
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        raise ValueError(
            f"the name of a channel travels as UTF-8, and {name!r} holds half a character: use another one"
        )
    return name


def check_count(value: object, least: int, what: str) -> int:
    """A whole number of at least ``least``; ``what`` names the argument and says what it counts.

    :raises ValueError: it is something else.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{what}: a whole number >= {least}, not {value!r}")
    return value


def check_patience(value: object) -> float:
    """How long ``dial`` tries again: a number of seconds, 0 or more.

    :raises ValueError: it is something else.
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not value >= 0:
        raise ValueError(f"patience= is a number of seconds, 0 or more, not {value!r}")
    return value


def check_address(uri: object) -> str:
    """A text with a scheme and a colon in front.

    :raises ValueError: it is something else.
    """
    if not isinstance(uri, str) or ":" not in uri:
        raise ValueError(f"an address is a text like uds:/run/app.sock or mem:jobs, not {uri!r}")
    return uri


def check_export(export: object) -> Mapping[str, object]:
    """Names with what peers may open under them; the entries are checked by ``exports_of``.

    :raises ValueError: it is no mapping.
    """
    if not isinstance(export, Mapping):
        raise ValueError(f"export= maps names to channels, as in {{'jobs': ch}}; {export!r} is no mapping")
    return export


def check_redelivery(redelivery: object, names: Iterable[str]) -> Mapping[str, str]:
    """The policy of each exported name, from one for all or from a mapping of some.

    :raises ValueError: a policy that does not exist, or one for a name that is not exported.
    """
    given = redelivery if isinstance(redelivery, Mapping) else dict.fromkeys(names, redelivery)
    policies = {**dict.fromkeys(names, DROP), **given}
    for name, policy in policies.items():
        if policy not in (DROP, REQUEUE):
            raise ValueError(f'redelivery is "drop" or "requeue", not {policy!r}')
        if name not in names:
            raise ValueError(f"redelivery of {name!r}, which is not exported here")
    return policies


def check_authorize(authorize: object) -> None:
    """A function that answers at once, or None for the default rule.

    :raises ValueError: it cannot be called, or is async: what that returns would count as a yes.
    """
    if authorize is not None and (not callable(authorize) or inspect.iscoroutinefunction(authorize)):
        raise ValueError(
            f"authorize= takes a plain function (identity, name, operation) -> bool, or None for the default, "
            f"not {authorize!r}"
        )


def check_medium(info: TransportInfo) -> None:
    """Refuse a medium that links cannot run over: a request has to arrive, once and in its order.

    :raises NotSupported: it loses or mixes up frames.
    """
    missing = (Capability.ORDERED | Capability.RELIABLE) & ~info.capabilities
    if missing:
        names = ", ".join(str(flag.name) for flag in missing)
        raise NotSupported(
            f"{info.name}: cannot carry a link, it does not promise {names}; use a stream, such as uds: or tcp:"
        )


def check_hook(hook: object) -> None:
    """A function for undelivered elements, or None.

    :raises ValueError: it cannot be called.
    """
    if hook is not None and not callable(hook):
        raise ValueError(f"on_undelivered must be callable, not {hook!r}")


def address_of(uri: str) -> str:
    """The address of a listener, without the ``#name`` of a channel that may stand behind it."""
    return uri.partition("#")[0]


def check_element(value: object) -> bytes:
    """What travels: a copy of anything mutable, so that nothing changes behind a send.

    :raises TypeError: it is not bytes, bytearray or memoryview.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"a link carries bytes; encode {type(value).__name__} before sending it")
