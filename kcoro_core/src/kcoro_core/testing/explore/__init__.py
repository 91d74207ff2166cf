# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The schedule explorer: run a program under many seeds, and see what only some interleavings show (row X19).

``kcoro explore prog.py::main`` explores a program, ``kcoro explore`` the engine itself, with random programs. Every
run happens on the script host, so that the seed of a run at fault repeats it exactly.
"""

from .campaign import ENOUGH, SCHEDULES, SECONDS, engine_schedules, replay
from .explorer import Exploration, Finding, Result, Schedule, explore
from .play import INJECTIONS, Injection
from .user_program import LIMIT, UserProgram

__all__ = [
    "ENOUGH",
    "INJECTIONS",
    "LIMIT",
    "SCHEDULES",
    "SECONDS",
    "Exploration",
    "Finding",
    "Injection",
    "Result",
    "Schedule",
    "UserProgram",
    "engine_schedules",
    "explore",
    "replay",
]
