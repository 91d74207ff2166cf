# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``python -m kcoro_core`` is the command ``kcoro``, for where scripts are not on the path."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())
