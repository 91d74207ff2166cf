# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The wire protocol, sans-IO: bytes and time come in, events and frames go out.

Read ``frame.py`` (what a frame is), ``commands.py`` (what it may ask), ``messages.py`` (what it carries), then
``connection.py`` (what both sides may do when; ``asking.py`` and ``answering.py`` are what its owner calls),
``routes.py`` (what comes in) and ``writer.py`` (what goes out).
No module in this folder imports a socket, trio, time, threading or random; clocks and identities are passed in.
Normative twin: docs/spec/wire.md.
"""
