# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The library, built once for a test run in the ways that tests need it; without a compiler they skip and say so."""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .extension import NAME, build_extension, load_module, python_headers
from .library import CORE, CSRC, HARNESS, PORT, PORT_FLAGS, SANITIZED, SANITIZING, STATES, build, compiler, run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for all models that were explored."""
    if STATES:
        explored = ", ".join(f"{name} {count}" for name, count in STATES.items())
        terminalreporter.line(f"states of the models of libkcoro, explored in full: {explored}")


@pytest.fixture(scope="module", autouse=True)
def small_heap() -> Iterator[None]:
    """Tests of the extension collect garbage often; what is there before them need not be searched each time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def build_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the session builds."""
    if compiler() is None:
        pytest.skip("there is no C compiler (cc, or what CC names), so libkcoro cannot be built")
    return tmp_path_factory.mktemp("libkcoro")


@pytest.fixture(scope="session")
def harness(build_dir: Path) -> ctypes.CDLL:
    """The core alone, without csrc/port, with the interpreter of programs beside it."""
    sources = [*CORE, *HARNESS]
    return ctypes.CDLL(str(build(build_dir / "harness.so", sources, "-O1", "-shared", "-fPIC", f"-I{CSRC}")))


@pytest.fixture(scope="session")
def sanitizers(build_dir: Path) -> None:
    """Whether the compiler can link what SANITIZED asks for; some have it in a package of its own."""
    source = build_dir / "nothing.c"
    source.write_text("int main(void) { return 0; }\n")
    done = run(compiler() or "", *SANITIZED, source, "-o", build_dir / "nothing")
    if done.returncode != 0 or run(build_dir / "nothing").returncode != 0:
        pytest.skip(f"the compiler has no address and undefined-behaviour sanitizers: {done.stderr.strip()[-200:]}")


@pytest.fixture(scope="session")
def sanitized(build_dir: Path, sanitizers: None) -> Path:
    """The core as one relocatable object, with address and undefined-behaviour sanitizers."""
    return build(build_dir / "sanitized.o", CORE, *SANITIZED, f"-I{CSRC}", "-r", "-nostdlib")


@pytest.fixture(scope="session")
def ported(build_dir: Path, sanitizers: None) -> Path:
    """The same with what csrc/port has for this system, and with the atomics of a mutex."""
    if not PORT_FLAGS:
        pytest.skip("csrc/port has nothing for this system")
    flags = (*SANITIZED, *PORT_FLAGS, "-DKC_NO_C11_ATOMICS", f"-I{CSRC}")
    return build(build_dir / "ported.o", [*CORE, *PORT], *flags, "-r", "-nostdlib")


@pytest.fixture(scope="session")
def native(build_dir: Path) -> Any:
    """The Python extension, built for this interpreter from the sources; see .ci/under-sanitizers."""
    if not (python_headers() / "Python.h").exists():
        pytest.skip("the headers of this Python are not installed, so the extension cannot be built")
    if "EXTENSION" in os.environ:
        return load_module(NAME, Path(os.environ["EXTENSION"]))
    flags = SANITIZED if SANITIZING else ["-O1", "-g"]
    return load_module(NAME, build_extension(build_dir, *flags))
