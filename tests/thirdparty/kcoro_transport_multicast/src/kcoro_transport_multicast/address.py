# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What an address looks like: ``multicast:GROUP:PORT``, and ``?interface=ADDRESS`` for another than loopback."""

from __future__ import annotations

import ipaddress
import re
import socket

from attrs import frozen

__all__ = ["Address", "parse"]

EXAMPLE = "multicast:239.77.1.2:5000"
FORM = re.compile(r"multicast:(?P<group>[\d.]+):(?P<port>\d{1,5})(?:\?interface=(?P<interface>[\d.]+))?")


@frozen
class Address:
    """A group, a port, and the interface through which it is reached."""

    group: str
    port: int
    interface: str

    def __str__(self) -> str:
        elsewhere = "" if self.interface == "127.0.0.1" else f"?interface={self.interface}"
        return f"multicast:{self.group}:{self.port}{elsewhere}"

    @property
    def place(self) -> tuple[str, int]:
        """The group and port, as sockets want them."""
        return self.group, self.port

    @property
    def membership(self) -> bytes:
        """What a socket is told to join the group."""
        return socket.inet_aton(self.group) + socket.inet_aton(self.interface)


def parse(uri: str) -> Address:
    """Read an address.

    :raises ValueError: it is none; the text shows one.
    """
    found = FORM.fullmatch(uri)
    try:
        if found is None:
            raise ValueError("it has another form")
        group, interface = ipaddress.IPv4Address(found["group"]), found["interface"] or "127.0.0.1"
        ipaddress.IPv4Address(interface)
        if not group.is_multicast or not 0 < int(found["port"]) < 65536:
            raise ValueError("that is no group, or no port")
    except ValueError as error:
        raise ValueError(f"{uri!r} is no address of multicast: ({error}); one looks like {EXAMPLE}") from error
    return Address(str(group), int(found["port"]), interface)
