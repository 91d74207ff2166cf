# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Select clauses: ``protocol`` says what one is; channels, events and signals bring those of core."""

from .channels import Recv, Send, check_loops
from .events import After, Done, EventClause, Readable, Triggered, Writable
from .protocol import Clause
from .signals import Signal

__all__ = [
    "After",
    "Clause",
    "Done",
    "EventClause",
    "Readable",
    "Recv",
    "Send",
    "Signal",
    "Triggered",
    "Writable",
    "check_loops",
]
