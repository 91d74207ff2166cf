# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What ``dial`` and ``serve`` pass on to a transport, checked before anything is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import attrs

__all__ = ["read"]

T = TypeVar("T", bound=attrs.AttrsInstance)


def read(kind: type[T], scheme: str, config: Mapping[str, Any]) -> T:
    """Options of ``kind`` from ``config``; whatever is not there has its default.

    :raises ValueError: an option that does not exist, or a value that makes no sense for it.
    """
    known = {option.name: option for option in attrs.fields(kind)}
    for name, value in config.items():
        if name not in known:
            raise ValueError(f"{scheme}: knows no option {name!r}; it knows: {', '.join(sorted(known))}")
        problem = _problem(_default(known[name]), value)
        if problem:
            raise ValueError(f"{scheme}: {name}={value!r} has to be {problem}")
    return kind(**config)


def _default(option: Any) -> object:
    return option.default.factory() if isinstance(option.default, attrs.Factory) else option.default  # type: ignore[arg-type]


def _problem(default: object, value: object) -> str | None:
    """What a value should have been, if it is not: of the sort of the default."""
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "True or False"
    if isinstance(default, (int, float)):
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
        return None if good else "a number above 0"
    return None if isinstance(value, str) else "a text"
