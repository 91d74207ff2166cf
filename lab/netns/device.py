# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Give this network namespace an address on the line, hand the line's end to whoever asked, and become a program.

``python device.py SOCKET ADDRESS MTU COMMAND ...`` within a fresh namespace. It imports nothing of ours and asks no
other program: ``ip`` may not be installed, and the kernel's older interface is all that two addresses need.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys

NAME = b"line"

# Numbers of linux/if_tun.h, linux/sockios.h and linux/if.h, which Python does not name.
TUNSETIFF = 0x400454CA
TUN, NO_PACKET_INFO = 0x0001, 0x1000
SET_FLAGS, SET_ADDRESS, SET_NETMASK, SET_MTU = 0x8914, 0x8916, 0x891C, 0x8922
UP, RUNNING = 0x0001, 0x0040


def flags(name: bytes, value: int) -> bytes:
    """A request with flags."""
    return struct.pack("16sH22x", name, value)


def address(value: str) -> bytes:
    """A request with an address."""
    return struct.pack("16sH2x4s16x", NAME, socket.AF_INET, socket.inet_aton(value))


def make(local: str, mtu: int) -> int:
    """The descriptor of the line's end; packets that the kernel sends to the other machine are read from it."""
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(end, TUNSETIFF, flags(NAME, TUN | NO_PACKET_INFO))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SET_ADDRESS, address(local))
        fcntl.ioctl(sock, SET_NETMASK, address("255.255.255.0"))
        fcntl.ioctl(sock, SET_MTU, struct.pack("16si20x", NAME, mtu))
        for name in (NAME, b"lo"):
            fcntl.ioctl(sock, SET_FLAGS, flags(name, UP | RUNNING))
    return end


def main(number: str, local: str, mtu: str, *command: str) -> None:
    """Make it, give it away, and go on as the command."""
    with socket.socket(fileno=int(number)) as asker:
        socket.send_fds(asker, [b"end"], [make(local, int(mtu))])
    os.execvp(command[0], command)  # noqa: S606 - that is the purpose


if __name__ == "__main__":
    main(*sys.argv[1:])
