# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What tests between two machines stand on: the labs' namespaces, found from here, and certificates for an address."""

from __future__ import annotations

import sys
from pathlib import Path

from ..transports.certificates import party

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))

from lab.netns.line import Line, Weather  # noqa: E402
from lab.netns.pair import ADDRESSES, Machines, machines, why_not  # noqa: E402

__all__ = ["ADDRESSES", "ROOT", "Line", "Machines", "Weather", "environment", "machines", "why_not"]


def environment(host: str) -> dict[str, str]:
    """The variables by which a server has a certificate for that host, and a client trusts it."""
    return {f"KCORO_TLS_{name.upper()}": path for name, path in party(hosts=(host,)).items()}
