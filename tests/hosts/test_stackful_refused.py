# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Where there are no stackful functions, whoever asks for one is told so, and why. On every version of Python."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

from kcoro_core.errors import NotSupported, WrongState
from kcoro_native import _native, stackful
from kcoro_native.coroutine import coroutine_factory


def test_versions_that_were_tested_have_them_and_others_say_why_not() -> None:
    """Row: C9."""
    why = _native._no_stackful()
    told = hasattr(ctypes.pythonapi, "PyUnstable_ThreadState_SetStackProtection")
    assert (why is None) is (sys.version_info < (3, 14) or told)
    if why is not None:
        with pytest.raises(NotSupported, match="PyUnstable_ThreadState_SetStackProtection"):
            stackful.stackful(len)


def test_the_reason_is_what_the_error_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_native, "_no_stackful", lambda: "no switch of stacks")
    with pytest.raises(NotSupported, match="no switch of stacks"):
        stackful.stackful(len)


def test_the_engine_is_whole_without_coroutines(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hook gives a factory that says so: an error there would take the channels with it. Rows: C1, H1."""
    monkeypatch.setattr(_native, "_no_stackful", lambda: "no switch of stacks")
    factory = coroutine_factory()
    assert (factory.engine, factory.switcher, factory.current()) == ("native", "none", None)
    with pytest.raises(NotSupported, match="no switch of stacks"):
        factory(len, (), None)
    with pytest.raises(WrongState):
        factory.yield_(None)


def test_a_program_gets_coroutines_wherever_the_native_engine_is_installed() -> None:
    """Those of the reference engine, where it has none of its own. Rows: C1, H1."""
    code = "from kcoro_core import Coroutine; print(Coroutine(lambda: 'done').resume())"
    environ = {name: text for name, text in os.environ.items() if name != "KCORO_ENGINE"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
