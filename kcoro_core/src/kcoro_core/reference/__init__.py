# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The readable engine: channels, claim words, select, tokens, timers and a scheduler, without any I/O.

It is the executable specification. Start with ``waiter.py``, then ``channel.py``, then ``select.py``.
No module in this folder imports a socket, trio, time, threading or random; time and chance are passed in.
"""
