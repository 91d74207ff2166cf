# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a case is, and how one or all of them are run. A number, once given, is never used for another case."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from attrs import field, frozen

from ... import plugins
from ...transport import Capability, TransportInfo
from .bench import Bench

__all__ = ["Case", "Result", "all_cases", "applicable", "case", "run_all", "run_case"]

Body = Callable[[Bench], None]

NOTHING: Final = Capability(0)


def always(info: TransportInfo) -> bool:
    """A case that means something for every transport."""
    return True


@frozen
class Case:
    """One numbered promise of the transport contract; ``needs`` are the capabilities without which it means nothing.

    ``applies`` decides by what a transport says about itself beyond its capabilities.
    """

    number: str
    title: str
    needs: Capability
    applies: Callable[[TransportInfo], bool] = field(repr=False)
    body: Body = field(repr=False)

    def __str__(self) -> str:
        return self.number

    def why_not(self, info: TransportInfo) -> str | None:
        """Why the case means nothing for a transport; None when it does mean something."""
        missing = [flag.name or "?" for flag in self.needs & ~info.capabilities]
        if missing:
            return f"the transport does not claim {', '.join(missing)}"
        return None if self.applies(info) else "by its own description the transport has nothing to show here"


@frozen
class Result:
    """What a case came to; ``text`` says why it failed or does not apply."""

    number: str
    title: str
    state: Literal["passed", "failed", "does not apply"]
    text: str = ""
    seconds: float = 0.0


_cases: dict[str, Case] = {}


def case(
    number: str, needs: Capability = NOTHING, *, applies: Callable[[TransportInfo], bool] = always
) -> Callable[[Body], Body]:
    """Register a function as a case; the first line of its docstring is the promise."""

    def register(body: Body) -> Body:
        if number in _cases:
            raise ValueError(f"case {number} exists twice")
        title = (body.__doc__ or "").strip().splitlines()[0]
        _cases[number] = Case(number, title, needs, applies, body)
        return body

    return register


def all_cases() -> list[Case]:
    """Every case, in the order of the numbers."""
    return sorted(_cases.values(), key=lambda c: [int(part) for part in c.number.split(".")])


def applicable(uri: str) -> list[Case]:
    """The cases for what the transport of ``uri`` (an address, or a bare scheme) claims to be able to do."""
    info = plugins.transport(uri).info
    return [c for c in all_cases() if c.why_not(info) is None]


def run_case(subject: Case, uri: str, config: Mapping[str, Any] | None = None) -> None:
    """Run one case; raises what failed. ``uri`` is an address, or a scheme, which then chooses fresh addresses."""
    with Bench(plugins.transport(uri), uri, config or {}) as bench:
        subject.body(bench)


def run_all(uri: str, config: Mapping[str, Any] | None = None) -> list[Result]:
    """Run every case against one transport; never raises for what a case finds."""
    info = plugins.transport(uri).info
    return [_run(c, uri, config, c.why_not(info)) for c in all_cases()]


def _run(subject: Case, uri: str, config: Mapping[str, Any] | None, why_not: str | None) -> Result:
    if why_not is not None:
        return Result(subject.number, subject.title, "does not apply", why_not)
    started = time.perf_counter()
    try:
        run_case(subject, uri, config)
    except Exception as error:  # noqa: BLE001 - whatever a transport raises is the finding
        seconds = time.perf_counter() - started
        return Result(subject.number, subject.title, "failed", f"{type(error).__name__}: {error}", seconds)
    return Result(subject.number, subject.title, "passed", seconds=time.perf_counter() - started)
