# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""An asyncio host for kcoro."""
