# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Labs of one link between two sides."""
