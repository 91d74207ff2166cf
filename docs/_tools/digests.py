# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What the status of a row was judged by: the row's status, and a digest of the tests that it names.

``docs/GAPS.digests`` keeps both as they were when somebody last looked, a line for each row that is built. A status
that has changed while the tests have not, or the reverse, is waiting for somebody to look again.

Rule 1: the digest is of what a test does: layout, comments and docstrings do not count, names and decorators do.
Rule 2: it is the same under every version of Python that runs the tests, so ``ast.dump`` will not do.
Rule 3: a file in which two branches have met is read as well, markers and all: what fits the tests is right.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from attrs import frozen

from kcoro_core.testing.laws import LAWS

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "docs" / "GAPS.digests"
LINE = re.compile(r"^([A-Z]{1,2}\d+b?) (\w+) ([0-9a-f]{12})$", re.MULTILINE)
SILENT = {"ctx", "kind", "type_comment", "type_params"}
"""Fields that say nothing of a function, or that not every version has."""


@frozen
class Judged:
    """One line: the status of a row, and the digest of its tests, at the time when somebody looked."""

    status: str
    digest: str


# ---------------------------------------------------------------------------------------------------------------------
# What a test does
# ---------------------------------------------------------------------------------------------------------------------


def essence(node: object) -> object:
    """A syntax tree without layout, as nested tuples."""
    if isinstance(node, list):
        return tuple(essence(one) for one in node)
    if not isinstance(node, ast.AST):
        return repr(node)
    body = getattr(node, "body", None)
    said = isinstance(body, list) and body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    fields = [
        (name, essence(value[1:] if name == "body" and said else value))
        for name, value in ast.iter_fields(node)
        if name not in SILENT and value not in (None, [])
    ]
    return (type(node).__name__, *fields)


def tests_in(module: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef, ast.ClassDef | None]]:
    """The functions at the top of a test file and the methods of its classes, as pytest names them, with the class."""
    for node in module.body:
        of_class = node if isinstance(node, ast.ClassDef) else None
        for one in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
                yield (f"{of_class.name}::{one.name}" if of_class else one.name), one, of_class


@cache
def functions(path: Path) -> Mapping[str, ast.AST]:
    """The functions of a test file by name; a method is its class without the others: what marks that marks it."""
    return {
        name: node if of_class is None else ast.ClassDef(**dict(ast.iter_fields(of_class)) | {"body": [node]})
        for name, node, of_class in tests_in(ast.parse(path.read_text()))
    }


def source_of(proof: str) -> ast.AST | None:
    """What is behind a proof as GAPS.md names it, a law, a test or a method of a class; None when there is none."""
    file, _, name = proof.partition("::")
    if name:
        return functions(ROOT / file).get(name) if (ROOT / file).is_file() else None
    law = next((law for law in LAWS if law.id == proof.removeprefix("tests/laws -k ")), None)
    return None if law is None else ast.parse(textwrap.dedent(inspect.getsource(law.fn)))


def digest(proofs: Iterable[str]) -> str:
    """A short text that changes when one of these tests does, or another is named."""
    told = sorted((proof, repr(essence(source_of(proof)))) for proof in proofs)
    return hashlib.blake2b(repr(told).encode(), digest_size=6).hexdigest()


# ---------------------------------------------------------------------------------------------------------------------
# What was judged
# ---------------------------------------------------------------------------------------------------------------------


def kept(now: Mapping[str, Judged], text: str | None = None) -> dict[str, Judged]:
    """The lines of the file; of two for one row that which is true now, else the later."""
    found: dict[str, Judged] = {}
    for row, *judged in LINE.findall(KEPT.read_text() if text is None else text):
        if found.get(row) != now.get(row) or row not in now:
            found[row] = Judged(*judged)
    return found


def unlooked(now: Mapping[str, Judged], before: Mapping[str, Judged]) -> dict[str, str]:
    """The rows of which the status has changed and the tests have not, or the reverse, and which of the two it is."""
    wrong = {}
    for row in now.keys() & before.keys():
        status, tests = (now[row].status != before[row].status), (now[row].digest != before[row].digest)
        if status and not tests:
            wrong[row] = f"its status was {before[row].status} and is {now[row].status}, and its tests are as before"
        elif tests and not status:
            wrong[row] = f"its tests have changed, and its status is still {now[row].status}"
    return wrong


def renewed(now: Mapping[str, Judged], before: Mapping[str, Judged], looked_at: Mapping[str, str]) -> dict[str, Judged]:
    """What to keep: everything that is true now, but for rows that wait for somebody to look and nobody did.

    :raises ValueError: who looked says another status than the page.
    """
    for row, status in looked_at.items():
        if row not in now or now[row].status != status:
            raise ValueError(f"{row} is {now[row].status if row in now else 'not built'} in GAPS.md, and not {status}")
    waiting = unlooked(now, before).keys() - looked_at.keys()
    return {row: before[row] if row in waiting else judged for row, judged in now.items()}


def as_text(judged: Mapping[str, Judged]) -> str:
    """The file, in the order of the rows."""
    return "".join(f"{row} {one.status} {one.digest}\n" for row, one in judged.items())
