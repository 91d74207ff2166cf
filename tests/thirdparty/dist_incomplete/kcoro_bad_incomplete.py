# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Incomplete: a transport that cannot accept and cannot be waited for."""

from kcoro_core.hookspecs import hookimpl
from kcoro_core.transport import STREAM, TRANSPORT_API, TransportInfo
from kcoro_core.transports.mem import (  # noqa: F401 - they are found by their names
    kcoro_abort,
    kcoro_close,
    kcoro_connect,
    kcoro_listen,
    kcoro_local_uri,
    kcoro_peer,
    kcoro_pump,
    kcoro_recv_frame,
    kcoro_send_frame,
    kcoro_set_waker,
    kcoro_tx_backlog,
)


@hookimpl
def kcoro_transport_info() -> TransportInfo:
    return TransportInfo("incomplete", ("incomplete",), TRANSPORT_API, STREAM)
