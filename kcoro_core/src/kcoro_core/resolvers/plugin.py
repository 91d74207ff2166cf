# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The resolvers of core as a plugin; ``dns`` is there where dnspython is."""

from __future__ import annotations

import importlib.util
from typing import Any

from ..config import settings
from ..hookspecs import hookimpl


@hookimpl
def kcoro_resolver(name: str) -> Any:
    """The resolver of that name with the settings of now; imported when asked for."""
    if name == "system":
        from .system import System

        return System()
    if name == "file":
        from .file import File

        return File(settings().names)
    if name == "dns" and importlib.util.find_spec("dns") is not None:
        from .dns import Dns

        return Dns(settings().dns_servers)
    return None
