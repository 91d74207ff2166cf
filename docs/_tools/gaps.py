# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Which tests and laws cite which row of the features, and what ``docs/GAPS.md`` makes of it.

``python docs/_tools/gaps.py``          print every row with all that cite it
``python docs/_tools/gaps.py --write``  renew the proofs and the date in GAPS.md, and the digests of GAPS.digests
``python docs/_tools/gaps.py --accept CH2=P ...``  the same, after you have looked: this is what the row is

A status that changes needs a test that does, and a test that changes needs a look at the status: ``--write`` leaves
such rows as they were, and a test of the manual names them with the command that accepts them.

A test or law cites rows at the end of its docstring, as in ``Rows: CH2, CH11.``; a test without a citation of its own
has those of its class, or of its file. A proof that still holds is kept; rows with fewer than SHOWN proofs get more.
"""

from __future__ import annotations

import ast
import datetime as dt
import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import digests
from attrs import evolve, frozen

from kcoro_core.testing.laws import LAWS

ROOT = Path(__file__).resolve().parents[2]
FEATURES = ROOT / "docs" / "FEATURES.md"
GAPS = ROOT / "docs" / "GAPS.md"
SHOWN = 3

STATUSES = {
    "P": "present, with the tests that prove it",
    "Pa": "partly present: what is there is proved, what is missing is named",
    "M": "missing, although something promises it",
    "F": "future: in the roadmap; nothing of it counts until its acceptance test passes",
    "O": "omitted for good",
}
ID = re.compile(r"[A-Z]{1,2}\d+b?")
LINE = re.compile(
    r"^\| (?P<id>[A-Z]{1,2}\d+b?) \| (?P<status>\w+) \| (?P<missing>.*?) ?\| (?P<proofs>.*?) ?\|$", re.MULTILINE
)
SNAPSHOT = re.compile(
    r"<!-- snapshot: (?P<date>[\d-]+) (?P<digest>\w+) -->\n(?P<text>.*?)\n<!-- end of snapshot -->", re.DOTALL
)


@frozen
class Gap:
    """One line of GAPS.md."""

    id: str
    status: str
    proofs: tuple[str, ...]
    missing: str

    def __str__(self) -> str:
        return f"| {self.id} | {self.status} | {self.missing} | {' · '.join(f'`{p}`' for p in self.proofs)} |"


@frozen
class Citation:
    """Somebody who cites a row: what to give pytest to run it, and how much of it is about that row."""

    proof: str
    rank: int


def rows() -> list[str]:
    """Every id of FEATURES.md, in its order."""
    return re.findall(r"^\| ([A-Z]{1,2}\d+b?) \|", FEATURES.read_text(), re.MULTILINE)


def gaps(text: str | None = None) -> list[Gap]:
    """The lines of GAPS.md."""
    return [
        Gap(line["id"], line["status"], tuple(re.findall(r"`([^`]+)`", line["proofs"])), line["missing"])
        for line in LINE.finditer(GAPS.read_text() if text is None else text)
    ]


# ---------------------------------------------------------------------------------------------------------------------
# Who cites what
# ---------------------------------------------------------------------------------------------------------------------


def cited(text: str | None) -> list[str]:
    """The rows that a docstring cites: the ids in the sentence behind ``Row:`` or ``Rows:``."""
    sentences = re.findall(r"\bRows?: (.*?)\.(?:\s|$)", text or "", re.DOTALL)
    return [found for sentence in sentences for found in ID.findall(sentence)]


def citations() -> dict[str, list[Citation]]:
    """For each row who cites it: first those whose first row it is, then the others, then those whose file cites it."""
    found: dict[str, list[Citation]] = {}
    for proof, ids, of_file in [*_laws(), *_tests()]:
        for place, row in enumerate(dict.fromkeys(ids)):
            found.setdefault(row, []).append(Citation(proof, min(place, 1) + 2 * of_file))
    return {row: sorted(who, key=lambda c: (c.rank, _kind(c.proof), c.proof)) for row, who in found.items()}


def _kind(proof: str) -> int:
    """Laws first, because they run everywhere; tests of the manual last, because they look at words."""
    return 0 if " -k " in proof else 2 if proof.startswith("tests/docs/") else 1


def _laws() -> Iterator[tuple[str, list[str], bool]]:
    for law in LAWS:
        yield f"tests/laws -k {law.id}", list(law.rows), False


def _only_somewhere() -> set[Path]:
    """Files that are tests only where the native engine is, as ``collect_ignore`` of tests/conftest.py has them."""
    folder = ROOT / "tests"
    lists = [node.value for node in ast.walk(ast.parse((folder / "conftest.py").read_text())) if _ignores(node)]
    return {folder / name for one in lists for name in ast.literal_eval(one)}


def _ignores(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and any(getattr(to, "id", "") == "collect_ignore" for to in node.targets)


def _tests() -> Iterator[tuple[str, list[str], bool]]:
    for path in sorted(set((ROOT / "tests").rglob("test_*.py")) - _only_somewhere()):
        yield from _tests_of(str(path.relative_to(ROOT)), ast.parse(path.read_text()))


def _tests_of(file: str, module: ast.Module) -> Iterator[tuple[str, list[str], bool]]:
    """Of a test without a citation the rows of its class are cited, or else those of its file."""
    of_file = cited(ast.get_docstring(module))
    for name, node, of_class in digests.tests_in(module):
        if node.name.startswith("test_"):
            own = cited(ast.get_docstring(node))
            around = cited(ast.get_docstring(of_class)) if of_class else []
            yield f"{file}::{name}", own or around or of_file, not own


# ---------------------------------------------------------------------------------------------------------------------
# Renewing the page
# ---------------------------------------------------------------------------------------------------------------------


def renewed(gap: Gap, who: list[Citation]) -> Gap:
    """The line with proofs that hold: those that it has, and more from different files if they are few."""
    if gap.status not in ("P", "Pa"):
        return evolve(gap, proofs=())
    known = [citation.proof for citation in who]
    chosen = [proof for proof in gap.proofs if proof in known]
    for one_per_file in (True, False):
        for proof in known:
            files = {other.partition("::")[0] for other in chosen}
            if len(chosen) < SHOWN and proof not in chosen and not (one_per_file and proof.partition("::")[0] in files):
                chosen.append(proof)
    return evolve(gap, proofs=tuple(chosen))


def digest(lines: list[Gap]) -> str:
    """A short text that changes with any status."""
    return hashlib.blake2b(repr([(gap.id, gap.status) for gap in lines]).encode(), digest_size=6).hexdigest()


def summary(lines: list[Gap], date: str) -> str:
    """The dated line at the top of the page."""
    counts = ", ".join(f"{sum(gap.status == status for gap in lines)} {status}" for status in STATUSES)
    text = f"Snapshot of {date}: {len(lines)} rows, {counts}."
    return f"<!-- snapshot: {date} {digest(lines)} -->\n{text}\n<!-- end of snapshot -->"


def write() -> None:
    """Renew proofs; the date moves when a status did."""
    page, who = GAPS.read_text(), citations()
    lines = [renewed(gap, who.get(gap.id, [])) for gap in gaps(page)]
    by_id = {gap.id: gap for gap in lines}
    page = LINE.sub(lambda line: str(by_id[line["id"]]), page)
    old = SNAPSHOT.search(page)
    if old is not None and old["digest"] != digest(lines):
        page = SNAPSHOT.sub(summary(lines, dt.datetime.now(tz=dt.UTC).date().isoformat()), page)
    GAPS.write_text(page)


def judged_now(lines: list[Gap]) -> dict[str, digests.Judged]:
    """Status and digest of every row that is built."""
    return {gap.id: digests.Judged(gap.status, digests.digest(gap.proofs)) for gap in lines if gap.proofs}


def unlooked(lines: list[Gap], text: str | None = None) -> list[str]:
    """What waits for somebody to look, a sentence for each row, and last the command that accepts it all."""
    now = judged_now(lines)
    before = digests.kept(now, text)
    wrong = digests.unlooked(now, before)
    said = [f"{row}: {wrong[row]}" for row in now if row in wrong]
    if said:
        rows = " ".join(f"{row}={now[row].status}" for row in now if row in wrong)
        said.append(f"look at them in docs/GAPS.md; if that is right: python docs/_tools/gaps.py --accept {rows}")
    elif list(now.items()) != list(before.items()):
        said.append("docs/GAPS.digests is not of today: python docs/_tools/gaps.py --write")
    return said


def renew(looked_at: dict[str, str]) -> None:
    """Write the digests of what is true now; what was not looked at stays."""
    now = judged_now(gaps())
    digests.KEPT.write_text(digests.as_text(digests.renewed(now, digests.kept(now), looked_at)))


def main() -> int:
    """Print, or write."""
    if sys.argv[1:2] in (["--write"], ["--accept"]):
        write()
        try:
            renew({row: status for row, _, status in (pair.partition("=") for pair in sys.argv[2:])})
        except ValueError as error:
            sys.stderr.write(f"{error}\n")
            return 2
        left = unlooked(gaps())
        sys.stdout.write("".join(f"{line}\n" for line in left))
        return 1 if left else 0
    who = citations()
    for gap in gaps():
        sys.stdout.write(f"{gap.id} {gap.status}\n")
        for citation in who.get(gap.id, []):
            sys.stdout.write(f"    {citation.proof}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
