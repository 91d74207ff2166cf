# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a case is, and how one or all of them are run. A number, once given, is never used for another case.

A case that *must* hold is a promise on which links rely; one that *should* hold is advice: whoever breaks it costs
its users time or understanding, and nothing else.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from attrs import field, frozen

from ... import plugins
from ...transport import Capability, TransportInfo, Vtable
from .bench import Bench, KitFailure
from .medium import NOTHING_KNOWN, Medium, look

__all__ = ["Case", "KitAdvice", "Level", "Result", "all_cases", "applicable", "case", "run_all", "run_case"]

Body = Callable[[Bench], None]

Level = Literal["must", "should"]
"""How much depends on a case: ``"must"`` is a promise that links rely on, ``"should"`` is advice."""


State = Literal["passed", "failed", "advised", "does not apply"]
"""What became of a case: ``"advised"`` is one that should hold and does not."""


class KitAdvice(UserWarning):
    """A transport does not do what it should; everything works, and somebody pays for it with time or patience."""


NOTHING: Final = Capability(0)


def always(info: TransportInfo) -> bool:
    """A case that means something for every transport."""
    return True


def anywhere(medium: Medium) -> bool:
    """A case that means something over every medium."""
    return True


@frozen
class Case:
    """One numbered promise of the transport contract; ``needs`` are the capabilities without which it means nothing.

    ``applies`` decides by what else a transport says about itself, ``over`` by what its medium shows. Unless a case is
    ``one_sided`` it is about a connection that has another end, which publishing has not.
    """

    number: str
    title: str
    needs: Capability
    applies: Callable[[TransportInfo], bool] = field(repr=False)
    over: Callable[[Medium], bool] = field(repr=False)
    level: Level = field(repr=False)
    one_sided: bool = field(repr=False)
    body: Body = field(repr=False)

    def __str__(self) -> str:
        return self.number

    def why_not(self, info: TransportInfo, medium: Medium = NOTHING_KNOWN) -> str | None:
        """Why the case means nothing for a transport over that medium; None when it does mean something."""
        needs = self.needs if self.one_sided else self.needs | Capability.POINT_TO_POINT
        missing = [flag.name or "?" for flag in needs & ~info.capabilities]
        if missing:
            return f"the transport does not claim {', '.join(missing)}"
        if not self.applies(info):
            return "by its own description the transport has nothing to show here"
        return None if self.over(medium) else "no stranger can write to this medium, or not frames"


@frozen
class Result:
    """What a case came to; ``text`` says why it failed, was only advice, or does not apply."""

    number: str
    title: str
    state: State
    text: str = ""
    seconds: float = 0.0
    level: Level = "must"


_cases: dict[str, Case] = {}


def case(
    number: str,
    needs: Capability = NOTHING,
    *,
    applies: Callable[[TransportInfo], bool] = always,
    over: Callable[[Medium], bool] = anywhere,
    level: Level = "must",
    one_sided: bool = False,
) -> Callable[[Body], Body]:
    """Register a function as a case; the first line of its docstring is the promise."""

    def register(body: Body) -> Body:
        if number in _cases:
            raise ValueError(f"case {number} exists twice")
        title = (body.__doc__ or "").strip().splitlines()[0]
        _cases[number] = Case(number, title, needs, applies, over, level, one_sided, body)
        return body

    return register


def all_cases() -> list[Case]:
    """Every case, in the order of the numbers."""
    return sorted(_cases.values(), key=lambda c: [int(part) for part in c.number.split(".")])


def applicable(uri: str, config: Mapping[str, Any] | None = None) -> list[Case]:
    """The cases for what the transport of ``uri`` (an address, or a bare scheme) claims to be able to do.

    Makes one connection, to see whether a stranger can write to its medium; without one, nobody can.
    """
    vtable = plugins.transport(uri)
    medium = look(vtable, uri, config or {})
    return [c for c in all_cases() if c.why_not(vtable.info, medium) is None]


def run_case(subject: Case, uri: str, config: Mapping[str, Any] | None = None) -> None:
    """Run one case; raises what failed, or warns with KitAdvice where only advice was not taken.

    ``uri`` is an address, or a scheme, which then chooses fresh addresses.
    """
    try:
        with Bench(plugins.transport(uri), uri, config or {}) as bench:
            subject.body(bench)
    except KitFailure as failure:
        if subject.level == "must":
            raise
        warnings.warn(KitAdvice(f"case {subject.number}: {failure}"), stacklevel=2)


def run_all(uri: str, config: Mapping[str, Any] | None = None) -> list[Result]:
    """Run every case against one transport; never raises for what a case finds."""
    vtable = plugins.transport(uri)
    medium = look(vtable, uri, config or {})
    return [_run(c, vtable, uri, config, c.why_not(vtable.info, medium)) for c in all_cases()]


def _run(subject: Case, vtable: Vtable, uri: str, config: Mapping[str, Any] | None, why_not: str | None) -> Result:
    started = time.perf_counter()

    def result(state: State, text: str = "") -> Result:
        return Result(subject.number, subject.title, state, text, time.perf_counter() - started, subject.level)

    if why_not is not None:
        return result("does not apply", why_not)
    try:
        with Bench(vtable, uri, config or {}) as bench:
            subject.body(bench)
    except Exception as error:  # noqa: BLE001 - whatever a transport raises is the finding
        state: State = "failed" if subject.level == "must" or not isinstance(error, KitFailure) else "advised"
        return result(state, f"{type(error).__name__}: {error}")
    return result("passed")
