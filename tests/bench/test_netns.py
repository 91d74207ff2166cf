# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The benchmark between two machines, run once, quickly, over the real line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.long
@pytest.mark.timeout(320)
def test_small_messages_are_timed_beside_bulk_that_loses_packets() -> None:
    """Every round trip takes at least that of the line, over both."""
    command = [sys.executable, "bench/run.py", "netns", "--quick", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row.get("ratio") for row in json.loads(done.stdout)["suites"]["netns"]}
    if "tls: and quic: on a line that loses" in rows:
        pytest.skip("this system has no network namespaces for it")
    for scheme in ("tls", "quic"):
        assert rows[f"1 % of large packets lost: 50 % over {scheme}:, ms"]["median"] > 20
        assert rows[f"1 % of large packets lost: bulk over {scheme}:, MB/s"]["median"] > 0
