# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``quic:host:port``: kcoro's channels between machines, over QUIC, one stream for each channel.

Nothing here is called by programs: install the package next to ``kcoro-core`` and use such addresses.
"""
