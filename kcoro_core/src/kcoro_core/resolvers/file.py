# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The resolver ``file``: names from a TOML file, which is read anew for each look-up.

    "jobs.example"       = ["10.0.0.7", "10.0.0.8"]                  # with the port that is dialled
    "jobs.example:kcoro" = ["10.0.0.7:7000", "[2001:db8::8]:7000"]   # this service, or this port, alone

Rule 1: an address in it is numeric; a name never leads to another name.
"""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..config import MAX_FILE_BYTES
from ..errors import NotFound, TransportError
from .protocol import Place, Question

__all__ = ["File"]


class File:
    """Looks names up in the file at ``path``; upper and lower case are one."""

    name = "file"

    def __init__(self, path: str) -> None:
        self._path = path

    def resolve(self, question: Question) -> Sequence[Place]:
        """The addresses in the order in which they are written."""
        if not self._path:
            raise TransportError("no file is named; set KCORO_NAMES to the path of one", permanent=True)
        table = {plain(name): entries for name, entries in self._table().items()}
        host = plain(question.host)
        for name in (f"{host}:{question.service or question.port}", host):
            if name in table:
                return [self._place(name, entry, question) for entry in self._listed(name, table[name])]
        raise NotFound(f"{self._path} has no {host!r}")

    def _table(self) -> dict[str, Any]:
        try:
            with Path(self._path).open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            # A file that is not there may come, and one that is being written become whole; rights do not come by.
            permanent = isinstance(error, (PermissionError, IsADirectoryError, NotADirectoryError))
            raise TransportError(f"{self._path} cannot be read: {error.strerror}", permanent=permanent) from error
        if len(data) > MAX_FILE_BYTES:
            raise ValueError(f"{self._path} is over {MAX_FILE_BYTES} bytes")
        try:
            return tomllib.loads(data.decode())
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{self._path} is no TOML: {error}") from error

    def _listed(self, name: str, entries: object) -> Sequence[object]:
        if isinstance(entries, list) and entries:
            return entries
        raise ValueError(f'{self._path}: {name!r} has to be a list of addresses, as in ["10.0.0.7:7000"]')

    def _place(self, name: str, entry: object, question: Question) -> Place:
        text = str(entry)
        host, _, port = text.rpartition(":")
        if is_numeric(text.strip("[]")):
            host, port = text, str(question.port)
        if is_numeric(host.strip("[]")) and port.isascii() and port.isdigit() and 0 < int(port) < 65536:
            return host.strip("[]"), int(port)
        hint = f"; {question.service!r} is no number, so the port has to stand there" if question.service else ""
        raise ValueError(f"{self._path}: {name!r}: {entry!r} is no numeric address, as 10.0.0.7:7000 is{hint}")


def plain(name: str) -> str:
    """A name as names are compared."""
    return name.lower().removesuffix(".")


def is_numeric(host: str) -> bool:
    """Whether a host is an address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
