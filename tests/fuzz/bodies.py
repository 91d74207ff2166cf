# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Payloads that once stood on a frame: those of the golden transcripts, and what is at the border of something."""

from __future__ import annotations

from ..wire.transcripts import TRANSCRIPTS

RECORDED = sorted(
    {bytes(frame.payload) for transcript in TRANSCRIPTS.values() for frame in transcript.frames() if frame.length < 200}
)
BODIES = [b"", bytes(4), bytes(8), *(bytes(3) + bytes([number]) for number in range(1, 9)), b"\xff" * 4, *RECORDED]
"""What forged frames carry. New ones change what kept inputs mean, as new transcripts do; they stay valid inputs."""
