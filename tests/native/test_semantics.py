# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The numbers of the C headers are those of ``semantics.py`` and ``errors.py``, in both directions."""

from __future__ import annotations

import enum
import errno
import re
from pathlib import Path

from kcoro_core import errors, semantics
from kcoro_core.semantics import ClosedRule, Kind, Overflow, SelectMode, Undelivered

from ..packaging.tree import project
from .library import HEADERS, INCLUDE, SANITIZED, STRICT, build, compiler, run

HEADER = (INCLUDE / "kcoro" / "semantics.h").read_text()
CLAIMS = {name: getattr(semantics, name) for name in ("WAITING", "CANCELLED", "TIMED_OUT", "CLOSED", "CLAIMING")}
# What libkcoro can answer; the other errors belong to links and plugins.
ANSWERS = (
    *(errors.WouldBlock, errors.DeadlineExceeded, errors.OperationCancelled, errors.ChannelClosed),
    *(errors.NotSupported, errors.KcoroError),
)


def of(members: type[enum.Enum], prefix: str = "KC_") -> dict[str, int]:
    """The C names and numbers of a Python enum; where its values are words, their order counts."""
    return {
        prefix + member.name: member.value if isinstance(member.value, int) else number
        for number, member in enumerate(members)
    }


EXPECTED = {
    "kc_kind": of(Kind),
    "kc_overflow": of(Overflow),
    "kc_select_mode": of(SelectMode),
    "kc_closed_rule": of(ClosedRule),
    "kc_undelivered": of(Undelivered, "KC_UNDELIVERED_"),
    "kc_claim": {f"KC_{name}": value for name, value in CLAIMS.items()},
}


def enumerators(header: str) -> dict[str, dict[str, int]]:
    """Every enum of a header with its names and numbers."""
    bare = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    found = re.findall(r"enum (\w+) \{(.*?)\}", bare, re.DOTALL)
    return {name: {k: int(v) for k, v in re.findall(r"(\w+) = (-?\d+)", body)} for name, body in found}


def test_the_header_has_the_numbers_of_the_reference_and_no_others() -> None:
    """Rows: H1, CH5, SE2."""
    assert enumerators(HEADER) == EXPECTED


def test_coroutines_have_the_same_states_in_both() -> None:
    """Row: C5."""
    header = (INCLUDE / "kcoro" / "coroutine.h").read_text()
    assert enumerators(header) == {"kc_coro_state": of(semantics.CoroutineState, "KC_CORO_")}


def test_the_comparison_sees_a_wrong_number() -> None:
    assert enumerators(HEADER.replace("KC_CLOSED = -4", "KC_CLOSED = -5")) != EXPECTED


def test_the_compiler_sees_the_same_numbers(sanitized: Path, tmp_path: Path) -> None:
    """And results have the errno and the stable name of the exception that they stand for. Rows: E1."""
    names = [name for members in EXPECTED.values() for name in members]
    source = tmp_path / "numbers.c"
    lines = [f'printf("{name} %d\\n", (int){name});' for name in names]
    lines += [f'printf("{kind.code} %s\\n", kc_code_name(-{errno.errorcode[kind.errno]}));' for kind in ANSWERS]
    source.write_text(
        '#include <stdio.h>\n#include "kcoro/kcoro.h"\nint main(void) {\n' + "\n".join(lines) + "\nreturn 0;\n}\n"
    )
    done = run(build(tmp_path / "numbers", [source, sanitized], *SANITIZED))
    expected = [f"{name} {value}" for members in EXPECTED.values() for name, value in members.items()]
    expected += [f"{kind.code} {kind.code}" for kind in ANSWERS]
    assert done.stdout.splitlines() == expected


def test_the_library_has_the_version_of_the_packages() -> None:
    """Row: Q11."""
    header = (INCLUDE / "kcoro" / "version.h").read_text()
    assert re.findall(r'#define KC_VERSION "(.*)"', header) == [project("kcoro_core")["project"]["version"]]


def test_each_header_stands_alone(build_dir: Path, tmp_path: Path) -> None:
    """Whoever includes one header needs no other first, and may include it twice."""
    sources = []
    for path in HEADERS:
        include = f'#include "kcoro/{path.name}"\n'
        sources.append(tmp_path / f"{path.stem}.c")
        sources[-1].write_text(f"{include}{include}extern int nothing;\n")
    done = run(compiler() or "", *STRICT, "-fsyntax-only", *sources)
    assert (done.returncode, done.stderr) == (0, "")
