# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What an address looks like: ``stdio:COMMAND``, whose standard input and output lead to a listener.

``stdio:ssh host python -m kcoro_transport_stdio.relay /run/me/jobs.sock``, for example. The last word is the socket at
which the listener waits on its machine; a listener may also be given that alone, as in ``stdio:/run/me/jobs.sock``.
"""

from __future__ import annotations

import shlex

__all__ = ["command_of", "path_of"]

EXAMPLE = "stdio:ssh host python -m kcoro_transport_stdio.relay /run/me/jobs.sock"


def command_of(uri: str) -> list[str]:
    """The words of the command in an address; no shell looks at them.

    :raises ValueError: there is none, or its quotes do not match.
    """
    try:
        words = shlex.split(uri.partition(":")[2])
    except ValueError as error:
        raise ValueError(f"{uri!r}: {error}") from error
    if not words:
        raise ValueError(f"stdio: needs a command behind it, as in {EXAMPLE}")
    return words


def path_of(uri: str) -> str | None:
    """Where a listener waits: the last word of the address; None where a fresh place is asked for.

    :raises ValueError: the last word is no absolute path.
    """
    if not uri.partition(":")[2]:
        return None
    path = command_of(uri)[-1]
    if not path.startswith("/"):
        raise ValueError(f"{uri!r}: the last word of a listener's address is the path of its socket, as in {EXAMPLE}")
    return path
