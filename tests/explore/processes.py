# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The same program in several processes that hash texts differently: what a seed decides they say alike."""

from __future__ import annotations

import os
import subprocess
import sys


def said_alike(program: str, *hash_seeds: str) -> str:
    """What each of these processes says; it is the same, and not nothing."""
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in hash_seeds
    }
    assert len(said) == 1
    return said.pop()
