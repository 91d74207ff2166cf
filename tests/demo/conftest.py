# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Signals as a shell would leave them: under nohup a hang-up is ignored, by this process and all that it starts."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def signals_of_a_shell() -> Iterator[None]:
    """Nothing is ignored at the start; what the starter wanted comes back at the end."""
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)}
    for number in before:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
