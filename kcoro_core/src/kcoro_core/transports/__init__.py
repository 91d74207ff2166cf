# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Transports that need no medium outside the process, for tests, examples and virtual time; and what those over stream
sockets have in common, which live in packages of their own.
"""
