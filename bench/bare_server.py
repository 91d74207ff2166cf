# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The other process of ``bare.py``: libraries alone on asyncio, each at a port that ``DIRECTORY/NAME`` then has.

Messages have 4 bytes of length in front. A small one is answered with an empty one, and so is the empty one, which ends
a row of large ones. Says ``ready``, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import ssl
import sys
from pathlib import Path
from typing import Any

LIBRARIES = ("qh3", "aioquic")
PROTOCOL = "bare"
SMALL_BYTES = 1024


def tell(directory: str, name: str, number: int) -> None:
    """Leave a number where the other process finds it."""
    Path(directory, name).write_text(str(number))


async def answer(reader: asyncio.StreamReader, writer: Any) -> None:
    """Serve one connection."""
    try:
        while True:
            size = int.from_bytes(await reader.readexactly(4), "big")
            await reader.readexactly(size)
            if size <= SMALL_BYTES:
                writer.write(bytes(4))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the other side has what it wanted


async def main(directory: str) -> None:
    """Serve with every library until standard input ends."""
    certificate = os.environ["KCORO_TLS_CERTFILE"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    tell(directory, "asyncio", server.sockets[0].getsockname()[1])
    tasks = set()

    def handle(reader: asyncio.StreamReader, writer: Any) -> None:
        tasks.add(asyncio.get_running_loop().create_task(answer(reader, writer)))

    for library in LIBRARIES:
        make = importlib.import_module(f"{library}.quic.configuration").QuicConfiguration
        settings = make(is_client=False, alpn_protocols=[PROTOCOL])
        settings.load_cert_chain(certificate, certificate)  # one file has the key as well
        serve = importlib.import_module(f"{library}.asyncio").serve
        quic = await serve("127.0.0.1", 0, configuration=settings, stream_handler=handle)
        tell(directory, library, quic._transport.get_extra_info("sockname")[1])
    tell(directory, "pid", os.getpid())
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
