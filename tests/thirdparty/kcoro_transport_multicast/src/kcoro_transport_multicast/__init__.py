# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""UDP multicast for kcoro: ``publish`` and ``subscribe``; the plugin is in ``plugin.py``."""

from .publishing import Publisher, publish
from .subscribing import Subscription, subscribe

__all__ = ["Publisher", "Subscription", "publish", "subscribe"]
