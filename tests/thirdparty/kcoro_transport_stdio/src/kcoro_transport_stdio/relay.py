# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What runs at the other end of a command: standard input and output on one side, a listener's socket on the other.

    python -m kcoro_transport_stdio.relay /run/me/jobs.sock

It imports nothing but the standard library, and little of that, so that it starts at once. A byte is held here only
between a read and the write behind it, so that whoever does not read is felt at the other end.
"""

from __future__ import annotations

import os
import socket
import sys
import threading

CHUNK_BYTES = 65536


def to_socket(sock: socket.socket) -> None:
    """Pass standard input on, and its end."""
    try:
        while data := os.read(0, CHUNK_BYTES):
            sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the listener has left, which the other direction sees as well


def to_output(sock: socket.socket) -> None:
    """Pass what the listener sends to standard output, until it ends or nobody reads."""
    try:
        while data := sock.recv(CHUNK_BYTES):
            while data:
                data = data[os.write(1, data) :]
    except OSError:
        pass


def main() -> int:
    """Connect, and pass bytes on until the listener's side ends."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(sys.argv[1])
    except (OSError, IndexError) as error:
        sys.stderr.write(f"kcoro relay: nobody listens at {sys.argv[1:]}: {error}\n")
        return 1
    threading.Thread(target=to_socket, args=(sock,), daemon=True).start()
    to_output(sock)
    return 0


if __name__ == "__main__":
    code = main()
    os._exit(code)  # a read of standard input may still wait, and waits for nobody now
