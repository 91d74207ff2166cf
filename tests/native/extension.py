# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Builds the Python extension as pip does, but without pip, and has the programs of on_reference.py run on it."""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kcoro_core.errors import ChannelClosed

from . import on_reference, standins
from .library import CORE, CSRC, INCLUDE, NATIVE, PORT, PORT_FLAGS, compiler, run

PYSRC = sorted((NATIVE / "pysrc").glob("*.c"))
# Not -pedantic: the headers of Python are not.
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers", "-D_POSIX_C_SOURCE=200809L"]
NAME = "kcoro_native._native"


def python_headers() -> Path:
    """Where the headers of this interpreter are."""
    return Path(sysconfig.get_paths()["include"])


def build_module(
    folder: Path, name: str, sources: list[Path], *flags: str | Path, about: tuple[str, str] | None = None
) -> Path:
    """Compile an extension module for this interpreter, or one with these headers and this suffix; no warnings."""
    headers, suffix = about or (python_headers(), sysconfig.get_config_var("EXT_SUFFIX"))
    target = folder / f"{name}{suffix}"
    shared = ["-shared", "-fPIC", "-fvisibility=hidden", f"-I{headers}"]
    done = run(compiler() or "", *FLAGS, *shared, *flags, *sources, "-o", target, "-lpthread")
    assert done.returncode == 0, done.stderr
    return target


def build_extension(folder: Path, *flags: str, port: bool = True) -> Path:
    """The native engine, with what csrc/port has for this system or without."""
    ports, of_ports = (PORT, PORT_FLAGS) if port and PORT_FLAGS else ([], [])
    return build_module(folder, "_native", [*CORE, *ports, *PYSRC], *of_ports, f"-I{INCLUDE}", f"-I{CSRC}", *flags)


def load_module(name: str, path: Path) -> ModuleType:
    """A new module object from a file; each of the native engine has its own types and its own state."""
    loader = importlib.machinery.ExtensionFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    with sources_as_package():
        loader.exec_module(module)
    return module


@contextlib.contextmanager
def sources_as_package() -> Iterator[None]:
    """Meanwhile what the extension imports of its own package comes from the sources, installed or not."""
    package = ModuleType("kcoro_native")
    package.__path__ = [str(NATIVE / "src" / "kcoro_native")]
    others = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "kcoro_native"}
    sys.modules["kcoro_native"] = package
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "kcoro_native"]:
            del sys.modules[name]
        sys.modules.update(others)


class Face(standins.Face):
    """The face of a channel whose core makes no errors for others."""

    def _shut_error(self) -> ChannelClosed:
        return ChannelClosed(reason=self._core.reason)


@contextlib.contextmanager
def instead_of_the_reference(native: Any) -> Iterator[None]:
    """Meanwhile ``on_reference`` runs programs on the extension."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(on_reference, "Channel", native.ChannelCore)
        patch.setattr(on_reference, "Operation", native.Operation)
        patch.setattr(on_reference, "SelectOperation", native.SelectOperation)
        patch.setattr(on_reference, "Arm", native.Arm)
        patch.setattr(standins, "Face", Face)
        yield
