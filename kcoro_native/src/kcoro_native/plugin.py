# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The native engine as a plugin: it registers through the same hooks as any other engine."""

from __future__ import annotations

from typing import Final

from ._native import compiled

NAME: Final = "native"
COMPILED: Final = compiled()
"""What was compiled in; reading it proves that the extension loads here."""
