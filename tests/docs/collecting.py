# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Whether the tests exist that a page names: a test that was renamed is renamed on the page."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable

from kcoro_core.testing.laws import LAWS

from .blocks import ROOT

OF_A_LAW = "tests/laws -k "


def check_collected(proofs: Iterable[str]) -> None:
    """Each proof is the id of a node that pytest collects, or ``tests/laws -k`` and the id of a law that has cases.

    It collects each file that is named, which takes seconds.

    :raises AssertionError: with the laws that there are not, or the words of pytest.
    """
    named = set(proofs)
    laws = {proof.removeprefix(OF_A_LAW) for proof in named if proof.startswith(OF_A_LAW)}
    assert laws <= {law.id for law in LAWS if law.cases}
    nodes = sorted(proof for proof in named if not proof.startswith(OF_A_LAW))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "", "-p", "no:cacheprovider", *nodes],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
