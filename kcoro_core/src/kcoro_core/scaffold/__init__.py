# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A new project from the files in ``project/``: those are what is written, but for the names in them (row X8).

``@NAME@`` stands for the name of the transport, which is its scheme, and ``@CORE@`` for the version of core. What comes
out is the author's own: it works at once, and nothing of it is needed by core.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
from collections.abc import Iterator
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from typing import Final

from .. import plugins
from ..errors import AlreadyExists, NotSupported

__all__ = ["check_name", "new_transport"]

TOP: Final = PurePosixPath()
TAKEN: Final = frozenset({"engine", "mem", "quic", "sim", "tcp", "tls", "uds"})
"""Schemes of this project, installed or not, and the word that ``kcoro conformance`` understands in another way."""


def new_transport(name: str, into: Path) -> list[Path]:
    """Write the project of a transport called ``name`` into ``into/kcoro-transport-NAME``; the files, in order.

    :raises ValueError: the name cannot be a scheme and a module; nothing was written.
    :raises AlreadyExists: somebody has the name, or the folder is there; nothing was written.
    """
    check_name(name)
    root = into / f"kcoro-transport-{name}"
    if root.exists():
        raise AlreadyExists(f"{root} exists; choose another name or another folder (--into), or remove it")
    core = ".".join(version("kcoro-core").split(".")[:2]) + ".0"
    written = []
    for path, source in sorted(_sources(files(__name__) / "project")):
        place = path.parent / path.name.removesuffix(".in")
        target = root / str(place).replace("src/package", f"src/kcoro_transport_{name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source.replace("@NAME@", name).replace("@CORE@", core), encoding="utf-8")
        written.append(target)
    return written


def check_name(name: str) -> None:
    """Refuse a name that cannot be a scheme and a module, or that somebody has.

    :raises ValueError: it cannot. AlreadyExists: somebody has it.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]{1,31}", name) or keyword.iskeyword(name):
        raise ValueError(
            f"{name!r} cannot be a scheme and part of a module's name: use 2 to 32 lower-case letters and digits, "
            "a letter first, and no word of Python's own"
        )
    if name in TAKEN or _is_served(name):
        raise AlreadyExists(f"{name}: is served by a transport already (see kcoro plugins); choose another name")
    if importlib.util.find_spec(f"kcoro_transport_{name}") is not None:
        raise AlreadyExists(f"a package kcoro_transport_{name} can be imported already; choose another name")


def _is_served(name: str) -> bool:
    try:
        plugins.transport(name)
    except NotSupported as error:
        return "blocked" in str(error)  # who has blocked a plugin has its name, too
    return True


def _sources(folder: Traversable, inside: PurePosixPath = TOP) -> Iterator[tuple[PurePosixPath, str]]:
    for entry in folder.iterdir():
        path = inside / entry.name
        if entry.is_dir():
            yield from _sources(entry, path)
        elif entry.name.endswith(".in"):
            yield path, entry.read_text(encoding="utf-8")
