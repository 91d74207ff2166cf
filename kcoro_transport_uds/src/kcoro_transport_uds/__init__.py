# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``uds:/path``: kcoro's channels between processes of one machine, over Unix-domain sockets.

Nothing here is called by programs: install the package next to ``kcoro-core`` and use ``uds:`` addresses.
"""
