# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``tcp:host:port`` and ``tls:host:port``: kcoro's channels between machines.

Nothing here is called by programs: install the package next to ``kcoro-core`` and use such addresses.
"""
