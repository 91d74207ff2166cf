# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The native engine of kcoro: channels and operations in C, behind the hooks of the reference engine.

Nothing of it is used directly: ``KCORO_ENGINE=native``, or ``auto``, makes channels of it wherever kcoro runs.
"""

from __future__ import annotations

from ._native import VERSION, compiled

__all__ = ["VERSION", "compiled", "switch_backend"]


def switch_backend() -> str:
    """How this build switches stacks: ``x86-64``, ``aarch64``, ``riscv64``, ``ucontext``; ``none``: it cannot."""
    return compiled()["switcher"]
