# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a run says at its end: text for people and pipes, JSON for programs.

Rule 1: no character that a terminal would act upon leaves this file; names of files may hold any.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from attrs import asdict

from .chaos import Chaos
from .jobs import Ledger
from .program import Outcome
from .tally import Share

__all__ = ["as_json", "closing_lines", "opening_lines", "printable", "worker_rows"]

LISTED: Final = 10
"""How many files or words a list in the text shows; the JSON has them all."""


def printable(text: str) -> str:
    """``text`` with whatever cannot be printed as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def digest(words: Counter[str]) -> str:
    """A fingerprint of a whole count: SHA-256 over its lines "word count", in the order of the words."""
    lines = "".join(f"{word} {count}\n" for word, count in sorted(words.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def top(words: Counter[str], most: int) -> list[tuple[str, int]]:
    """The most frequent words; equally frequent ones in the order of the alphabet."""
    return sorted(words.items(), key=lambda item: (-item[1], item[0]))[:most]


# -- for people


def opening_lines(outcome: Outcome, most: int) -> Iterator[str]:
    """The count itself, and the words."""
    tally, options = outcome.tally, outcome.options
    workers = "1 worker" if options.workers == 1 else f"{options.workers} workers"
    rate = _mb(tally.size / max(outcome.seconds, 1e-9))
    different = f"{len(tally.words):,} different"
    yield f"{tally.words.total():,} words ({different}) in {tally.files:,} files of {_mb(tally.size)}"
    yield f"counted by {workers} over {options.transport} in {outcome.seconds:.1f} s ({rate}/s)"
    for word, count in top(tally.words, most):
        yield f"{count:>12,}  {printable(word)}"


def worker_rows(outcome: Outcome) -> Iterator[tuple[str, ...]]:
    """One row for each worker process: number, jobs, files, size, seconds, rate, end."""
    for share in outcome.tally.shares.values():
        rate = f"{_mb(share.rate)}/s" if share.jobs else "-"
        yield (str(share.worker), str(share.jobs), str(share.files), _mb(share.size), f"{share.seconds:.2f}", rate,
               printable(share.end or "stayed to the end"))  # fmt: skip


def closing_lines(outcome: Outcome) -> Iterator[str]:
    """What was skipped, what went wrong on the way, and the proof."""
    tally = outcome.tally
    if tally.skipped:
        yield f"skipped {_files(len(tally.skipped))}:"
        yield from _listed(f"{printable(s.path)}: {printable(s.reason)}" for s in tally.skipped)
    if outcome.chaos:
        yield _chaos_line(outcome.chaos, tally.ledger)
    elif tally.ledger.reissued:
        yield f"{tally.ledger.reissued} jobs were given out again, {tally.ledger.doubles} double answers were dropped"
    if tally.malformed:
        yield f"malformed messages that were dropped: {tally.malformed}"
    yield from _proof_lines(outcome)


def _chaos_line(chaos: Chaos, ledger: Ledger) -> str:
    return (
        f"chaos (seed {chaos.seed}) killed {len(chaos.killed)} workers: {ledger.reissued} jobs were given out again, "
        f"{ledger.doubles} double answers were dropped"
    )


def _proof_lines(outcome: Outcome) -> Iterator[str]:
    difference = outcome.difference
    method = f"one process with another tokenizer, {outcome.proof_seconds:.1f} s"
    if not difference:
        yield f"proof: equal ({method}), sha256 {digest(outcome.tally.words)[:16]}"
        return
    yield f"proof: NOT EQUAL ({method})"
    yield from _listed(f"{printable(word)}: {ours} by workers, {its} by proof" for word, ours, its in difference.words)
    yield from _listed(f"{printable(path)}: skipped by one of the two only" for path in difference.skipped)
    if outcome.changed:
        yield "these files changed meanwhile, which may be why; count again when they are at rest:"
        yield from _listed(printable(path) for path in outcome.changed)


def _listed(lines: Iterable[str]) -> Iterator[str]:
    lines = list(lines)
    yield from (f"  {line}" for line in lines[:LISTED])
    if len(lines) > LISTED:
        yield f"  and {len(lines) - LISTED} more"


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"


def _mb(size: float) -> str:
    return f"{size / 1e6:.1f} MB"


# -- for programs


def as_json(outcome: Outcome, most: int) -> dict[str, Any]:
    """Everything, as ``--json`` prints it; sizes in bytes, times in seconds."""
    tally, options, chaos = outcome.tally, outcome.options, outcome.chaos
    return {
        "transport": options.transport,
        "seconds": outcome.seconds,
        "files": tally.files,
        "bytes": tally.size,
        "words": tally.words.total(),
        "different": len(tally.words),
        "top": [{"word": word, "count": count} for word, count in top(tally.words, most)],
        "workers": [_share_as_json(share) for share in tally.shares.values()],
        "jobs": {"total": len(tally.ledger.jobs), "reissued": tally.ledger.reissued, "doubles": tally.ledger.doubles},
        "malformed": tally.malformed,
        "chaos": {"seed": chaos.seed, "killed": len(chaos.killed)} if chaos else None,
        "skipped": [asdict(skipped) for skipped in tally.skipped],
        "proof": {
            "equal": not outcome.difference,
            "sha256": digest(tally.words),
            "seconds": outcome.proof_seconds,
            "words": [{"word": w, "workers": ours, "proof": its} for w, ours, its in outcome.difference.words],
            "skipped": list(outcome.difference.skipped),
            "changed": list(outcome.changed),
        },
    }


def _share_as_json(share: Share) -> dict[str, Any]:
    return {
        "worker": share.worker,
        "pid": share.pid,
        "jobs": share.jobs,
        "files": share.files,
        "bytes": share.size,
        "seconds": share.seconds,
        "bytes_per_second": share.rate,
        "end": share.end,
    }
