# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Where there are no stackful functions, whoever asks for one is told so, and why. On every version of Python."""

from __future__ import annotations

import sys

import pytest

from kcoro_core.errors import NotSupported
from kcoro_native import _native, stackful


def test_versions_that_were_tested_have_them_and_others_say_why_not() -> None:
    """Row: C9."""
    why = _native._no_stackful()
    assert (why is None) is ((3, 11) <= sys.version_info < (3, 14))
    if why is not None:
        with pytest.raises(NotSupported, match=r"3\.11, 3\.12 or 3\.13"):
            stackful.stackful(len)


def test_the_reason_is_what_the_error_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_native, "_no_stackful", lambda: "no switch of stacks")
    with pytest.raises(NotSupported, match="no switch of stacks"):
        stackful.stackful(len)
