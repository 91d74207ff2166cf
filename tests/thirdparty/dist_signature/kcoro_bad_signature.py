# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Wrongly signed: one argument has another name."""

from collections.abc import Mapping
from typing import Any

from kcoro_core.hookspecs import hookimpl
from kcoro_core.transport import STREAM, TRANSPORT_API, TransportInfo
from kcoro_core.transports.mem import (  # noqa: F401 - they are found by their names
    kcoro_abort,
    kcoro_accept,
    kcoro_close,
    kcoro_listen,
    kcoro_local_uri,
    kcoro_peer,
    kcoro_poll_handle,
    kcoro_pump,
    kcoro_recv_frame,
    kcoro_send_frame,
    kcoro_set_waker,
    kcoro_tx_backlog,
)


@hookimpl
def kcoro_transport_info() -> TransportInfo:
    return TransportInfo("signature", ("signature",), TRANSPORT_API, STREAM)


@hookimpl
def kcoro_connect(address: str, config: Mapping[str, Any]) -> Any:
    raise NotImplementedError
