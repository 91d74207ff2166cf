# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro send`` and ``kcoro recv``: lines, frames and files of a shell through a channel.

Which side listens is free: the channel lives at the one that does. A sender ends by closing the channel, and a receiver
ends when what was sent before is written.

``formats``    bytes to elements and back, sans-IO
``files``      descriptors that are read and written without blocking the loop
``outcome``    every way to end, with its exit code
``attending``  signals, patience while nobody listens yet, errors as outcomes
``sending``    ``kcoro send``
``receiving``  ``kcoro recv``
"""
