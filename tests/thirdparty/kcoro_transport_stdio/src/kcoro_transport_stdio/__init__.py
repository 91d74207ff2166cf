# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The transport ``stdio:`` for kcoro; ``plugin.py`` has what kcoro calls."""
