# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""How much an object holds: the items of every container that can be reached from it, by the path that leads there.

It looks at attributes, slots and containers of this project's own objects, so that a container which is added later is
seen without a word here. Classes, functions and modules are not entered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any

CONTAINERS = (dict, list, set, deque, tuple, bytearray)
CLOSED = (type, FunctionType, MethodType, ModuleType, str, bytes, int, float, bool, type(None))


def held(start: object) -> dict[str, int]:
    """By path: how many items each container has that is not empty."""
    found: dict[str, int] = {}
    seen: set[int] = set()
    todo: list[tuple[str, Any]] = [("", start)]
    while todo:
        path, thing = todo.pop()
        if isinstance(thing, CLOSED) or id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, CONTAINERS):
            if thing:
                found[path] = found.get(path, 0) + len(thing)
            todo += [(f"{path}[]", item) for item in _items(thing)]
        elif type(thing).__module__.startswith("kcoro_core"):
            todo += [(f"{path}.{name}", value) for name, value in _attributes(thing)]
    return found


def _items(thing: Any) -> Iterator[Any]:
    if isinstance(thing, bytearray):
        return
    yield from thing.values() if isinstance(thing, Mapping) else thing
    if isinstance(thing, Mapping):
        yield from (key for key in thing if not isinstance(key, CLOSED))


def _attributes(thing: object) -> Iterator[tuple[str, Any]]:
    yield from getattr(thing, "__dict__", {}).items()
    for cls in type(thing).__mro__:
        for name in getattr(cls, "__slots__", ()):
            if hasattr(thing, name):
                yield name, getattr(thing, name)
