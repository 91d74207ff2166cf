# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The rim: links between processes, made of a transport, the wire protocol and a host.

Read ``link.py`` (what a link is made of), ``lifecycle.py`` (how it begins and ends), ``remote.py`` (a handle on a
channel at the other end), ``opener.py`` (who hears what became of its requests), ``pending.py`` (how its waits end),
``home.py`` (how a peer's requests are carried out here), ``pump.py`` (who reads and writes), then ``dial.py`` and
``serve.py``. Nothing here imports a loop or a transport: hosts and plugins are used through their ports.
"""
