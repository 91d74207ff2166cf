# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Hosts: whoever has a loop and parks tasks for us. Channels, select and links use the port only."""
