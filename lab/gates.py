# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The labs, and the gates that consist of them, as data."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from typing import cast

from attrs import frozen

from .book import Book
from .places import TRANSPORTS, Place

__all__ = ["GATES", "LABS", "Gate", "Scenario", "scenarios"]

Scenario = Callable[[Place, Book], Awaitable[None]]

LABS = {
    "ipc/posix_co": "many calls in flight, cancelling, many channels over one connection",
    "ipc/sim": "bad lines, repeated from a seed",
    "select": "contended selects: one winner each, nothing lost",
    "mux": "fair shares and bounded memory of many channels over one link",
}
"""Every lab with what it is about; its module is ``lab.`` and its name with dots."""


@frozen
class Gate:
    """What has to pass before a phase of the project is called done."""

    about: str
    labs: tuple[str, ...]
    transports: tuple[str, ...]
    sabotage: tuple[str, ...]
    """The faults of ``sabotage`` that have to make it fail; others have nothing to do with it."""


FAULTS = ("fairness", "credits", "claim", "grants")
WITHOUT_SELECTS = ("fairness", "credits", "claim")
GATES = {
    "D1": Gate("concurrent requests and cancelling", ("ipc/posix_co",), ("mem", "uds"), WITHOUT_SELECTS),
    "D2": Gate("every lab over each transport, with nothing changed but the address", tuple(LABS), TRANSPORTS, FAULTS),
    "D3": Gate("fair shares, bounded memory, exact selects", ("mux", "select", "ipc/sim"), TRANSPORTS, FAULTS),
}
"""By the name that the features give them."""


def scenarios(lab: str) -> dict[str, Scenario]:
    """The scenarios of a lab, in their order."""
    return cast("dict[str, Scenario]", importlib.import_module("lab." + lab.replace("/", ".")).SCENARIOS)
