# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Broken: importing it raises."""

raise RuntimeError("this plugin cannot even be imported")
