# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Settings of one test for the resolvers of this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from kcoro_core import config

Configure = Callable[..., None]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """Set some settings, as ``configure(resolver="dns")``, for one test."""

    def put(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"KCORO_{name.upper()}", str(value))
        config.reload()

    yield put
    monkeypatch.undo()
    config.reload()
