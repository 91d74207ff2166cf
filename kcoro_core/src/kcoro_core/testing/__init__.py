# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Shipped with kcoro: what authors of engines, hosts and transports run against their own work, and test tools.

Nothing in the rest of kcoro imports this package; some of it needs the extra ``kcoro-core[testing]``.
"""
