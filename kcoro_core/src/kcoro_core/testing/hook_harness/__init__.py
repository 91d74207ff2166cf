# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The reference driver of transports on trio: each hook of a plugin is called as a link would, and judged (row T7).

The conformance kit asks whether a transport keeps the contract; this asks less, and shows how a loop drives one: wait
for what ``poll_handle`` announces, pump, receive until None. ``drive.py`` is all that a loop has to do.
"""

from __future__ import annotations

from .checks import HookResult, run_hooks

__all__ = ["HookResult", "run_hooks"]
