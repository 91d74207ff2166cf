# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The other process of ``others.py``: answers each message with an empty one.

``python others_server.py MODULE PATH`` says ``ready`` when it can be used and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading


def ready() -> None:
    """Say so, and end with standard input, whatever the other threads do."""
    print("ready", flush=True)
    threading.Thread(target=lambda: os._exit(sys.stdin.read() != ""), daemon=True).start()


def serve_multiprocessing(path: str) -> None:
    """One connection after another."""
    from multiprocessing.connection import Listener

    with Listener(path, "AF_UNIX") as listener:
        ready()
        while True:
            with listener.accept() as connection:
                try:
                    while True:
                        connection.recv_bytes()
                        connection.send_bytes(b"")
                except EOFError:
                    pass


def serve_zmq(path: str) -> None:
    """A ROUTER on asyncio."""
    import zmq.asyncio

    async def main() -> None:
        socket = zmq.asyncio.Context().socket(zmq.ROUTER)
        socket.bind(f"ipc://{path}")
        ready()
        while True:
            who, _ = await socket.recv_multipart()
            await socket.send_multipart((who, b""))

    asyncio.run(main())


def serve_grpc(path: str) -> None:
    """A method without serializers."""
    import grpc.aio

    async def answer(_message: bytes, _context: object) -> bytes:
        return b""

    async def main() -> None:
        server = grpc.aio.server()
        methods = {"ask": grpc.unary_unary_rpc_method_handler(answer)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench", methods),))
        server.add_insecure_port(f"unix:{path}")
        await server.start()
        ready()
        await server.wait_for_termination()

    asyncio.run(main())


if __name__ == "__main__":
    globals()[f"serve_{sys.argv[1]}"](sys.argv[2])
