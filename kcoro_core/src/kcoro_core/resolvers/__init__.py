# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""How a name becomes addresses: by the system, by a file, by DNS; others come as plugins."""
