# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What holds for the C sources: whom they include, what is documented, what they never do. Rows: Q1, Q4."""

from __future__ import annotations

import ctypes
import re
import shutil
import statistics
import sys
from pathlib import Path

import pytest

from .library import CORE, CSRC, HEADERS, NATIVE, PORT, build, run

# The headers of ISO C and of POSIX that the core may include; anything else belongs into csrc/port.
C11 = (
    "assert ctype errno float inttypes iso646 limits locale math setjmp signal stdalign stdarg stdatomic stdbool stddef"
)
C11 += " stdint stdio stdlib stdnoreturn string tgmath time uchar wchar wctype"
POSIX = "dirent fcntl netdb poll pthread sched semaphore unistd arpa/inet netinet/in netinet/tcp sys/mman sys/resource"
POSIX += " sys/select sys/socket sys/stat sys/time sys/types sys/uio sys/un sys/wait"
ALLOWED = {f"{name}.h" for name in f"{C11} {POSIX}".split()}
OF_SYSTEMS = re.compile(
    r"\b(_GNU_SOURCE|_DEFAULT_SOURCE|_BSD_SOURCE|__linux__|__APPLE__|__FreeBSD__|_WIN32|__attribute__|__builtin_\w+)"
)
ENDS_OR_PRINTS = re.compile(r"\b(abort|exit|_exit|assert|printf|puts|perror|fprintf)\s*\(")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
PUBLIC = re.compile(
    r"#define (KC_\w+)|(?:static inline )?\w[\w* ]*?\b(kc_\w+)\((?!\*)|typedef (?:struct|enum) (kc_\w+) \{"
)
DECLARED = re.compile(r"\b(kc_\w+)\((?:[^()]|\([^()]*\))*\);")
INTERNAL = sorted(CSRC.glob("*.h"))


def code(text: str) -> str:
    """A source without its comments; lines keep their numbers."""
    return COMMENT.sub(lambda match: "\n" * match.group().count("\n"), text)


def foreign(text: str) -> list[str]:
    """What a source of the core takes from outside ISO C and POSIX."""
    bare = code(text)
    included = re.findall(r"^\s*#\s*include\s*<([^>]+)>", bare, re.MULTILINE)
    return [name for name in included if name not in ALLOWED] + OF_SYSTEMS.findall(bare)


@pytest.mark.parametrize("path", [*HEADERS, *INTERNAL, *CORE], ids=lambda path: path.name)
def test_the_core_includes_iso_c_and_posix_only(path: Path) -> None:
    """Row: Q4."""
    assert foreign(path.read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        "#include <linux/futex.h>",
        "#include <sys/epoll.h>",
        "#include <sys/eventfd.h>",
        "  #  include <sys/event.h>",
        "#ifdef __linux__",
        "#define _GNU_SOURCE 1",
    ],
)
def test_a_planted_platform_include_is_found(line: str) -> None:
    """Row: Q4."""
    assert foreign(f"#include <stdio.h>\n{line}\n")


def test_only_the_ports_need_what_only_some_systems_have() -> None:
    """Or the folder would be empty talk. Row: Q4."""
    assert PORT
    assert all(foreign(path.read_text()) for path in PORT)
    assert all(re.search(r'#\s*include\s*"port/', path.read_text()) is None for path in [*CORE, *INTERNAL, *HEADERS])


def test_atomic_words_have_one_home() -> None:
    """``kcoro/atomic.h`` alone knows how they are made."""
    named = re.compile(r"stdatomic|memory_order|\b_?Atomic\b|\batomic_\w+")
    files = [*HEADERS, *INTERNAL, *CORE, *PORT]
    assert [path.name for path in files if named.search(code(path.read_text()))] == ["atomic.h"]


def test_the_library_neither_ends_the_process_nor_prints() -> None:
    """Misuse is -EINVAL; what there is to tell goes through kcoro/log.h. A stack that is used up has a file."""
    assert {path.name for path in [*CORE, *PORT] if ENDS_OR_PRINTS.search(code(path.read_text()))} == {"dying.c"}


CONDITION = re.compile(r"^\s*#\s*(?:ifdef|ifndef|if|elif)\b(.*)$", re.MULTILINE)
OF_BUILDS = re.compile(r"\b(KC_\w+|KCORO_\w+)\b")
OPTION = re.compile(r"^option\((\w+) ", re.MULTILINE)
DEBUGGING = re.compile(r"\bN?DEBUG\b|_(?:DEBUG|TRACE|LOG|LOGGING|VERBOSE|DIAGNOSTICS|CHECKS?)\b")
MANUAL = Path(__file__).parents[2] / "docs" / "CONFIGURATION.md"
MADE_HERE = {"KC_ATOMICS_BY_MUTEX"}
"""What a header makes of others, for itself."""


def conditions(text: str) -> str:
    """What the preprocessor decides by, without the guards of headers."""
    return "\n".join(line for line in CONDITION.findall(code(text)) if not line.endswith("_H"))


def forks(text: str) -> list[str]:
    """Macros with which a build is another program for debugging; the checks of stacks are the one exception."""
    found: list[str] = DEBUGGING.findall(conditions(text).replace("KCORO_CTX_DIAGNOSTICS", ""))
    return found


def sources() -> list[Path]:
    """Everything in C, the extension included."""
    return [*HEADERS, *INTERNAL, *CORE, *PORT, *sorted(CSRC.parent.glob("pysrc/*.[ch]"))]


def test_no_build_is_for_debugging() -> None:
    """What is logged and checked is chosen at run time. Row: CF3."""
    assert {path.name: found for path in sources() if (found := forks(path.read_text()))} == {}


@pytest.mark.parametrize("line", ["#ifdef DEBUG", "#ifndef NDEBUG", "#if defined(KC_TRACE)", "  # elif KPY_DEBUG > 1"])
def test_a_planted_fork_for_debugging_is_found(line: str) -> None:
    """Row: CF3."""
    assert forks(f"#ifndef KC_X_H\n{line}\n")


def test_every_macro_that_a_build_may_set_stands_in_the_manual() -> None:
    """With its default and an example; and nothing stands there that no source knows. Row: CF5."""
    section = MANUAL.read_text().partition("## What is decided when libkcoro is compiled")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| ") and "`-D" in line]
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row[1] + row[2])}
    known = {name for path in sources() for name in OF_BUILDS.findall(conditions(path.read_text()))} - MADE_HERE
    options = set(OPTION.findall((CSRC.parent / "CMakeLists.txt").read_text()))
    assert listed == known | options
    assert all(re.search(rf"-D({'|'.join(re.findall(r'`(.+?)`', row[1] + row[2]))})\b", row[5]) for row in rows)


def test_every_file_of_the_core_has_its_room() -> None:
    """In exactly one row of the map, and nothing stands there that is gone."""
    rows = [line for line in (NATIVE / "README.md").read_text().splitlines() if line.startswith("| ")]
    listed = [name for row in rows for name in re.findall(r"`(\w+\.[chS])`", row)]
    assert sorted(listed) == sorted(path.name for path in CSRC.iterdir() if path.is_file())


def test_lines_and_files_are_short() -> None:
    sizes = {path: path.read_text().splitlines() for path in [*HEADERS, *INTERNAL, *CORE, *PORT]}
    assert [path.name for path, lines in sizes.items() if any(len(line) > 120 for line in lines)] == []
    assert statistics.median(map(len, sizes.values())) <= 200
    assert max(map(len, sizes.values())) <= 300


# -- what is documented


def undocumented(header: str) -> list[str]:
    """Enumerators without two or three lines, and functions, types and macros without a sentence, above them."""
    missing = []
    for body in re.findall(r"enum \w+ \{(.*?)\n\}", header, re.DOTALL):
        for comment, name in re.findall(r"(/\*(?:[^*]|\*(?!/))*\*/)?\s*(KC_\w+) = ", body):
            lines = comment.count("\n") + 1
            if not 2 <= lines <= 3 or len(comment.split()) < 12:
                missing.append(name)
    lines = header.splitlines()
    for at, line in enumerate(code(header).splitlines()):
        match = PUBLIC.match(line)
        if match is None or line.startswith("#define KCORO_"):
            continue
        above = lines[at - 1] if at else ""
        if not above.endswith("*/") and not above.startswith("#define KC_"):
            missing.append(next(name for name in match.groups() if name))
    return missing


@pytest.mark.parametrize("path", HEADERS, ids=lambda path: path.name)
def test_everything_public_says_what_it_is_and_when_to_use_it(path: Path) -> None:
    """Row: Q1."""
    assert undocumented(path.read_text()) == []


@pytest.mark.parametrize(
    "header",
    [
        "enum kc_x {\n    KC_A = 0\n};",
        "enum kc_x {\n    /* One line is too little to say what it is and when to use it. */\n    KC_A = 0\n};",
        "enum kc_x {\n    /* Short.\n    ** Too. */\n    KC_A = 0\n};",
        "\nint kc_do(int x);",
        "\ntypedef struct kc_x {\n    int x;\n} kc_x_t;",
        "\n#define KC_LIMIT 5",
    ],
)
def test_a_planted_gap_in_a_header_is_found(header: str) -> None:
    """Row: Q1."""
    assert undocumented(header)


def test_every_public_function_exists_and_everything_else_is_marked(build_dir: Path) -> None:
    """What is declared is defined; what the library shows to a linker begins with kc_ or kci_, and kc_ is declared."""
    if (nm := shutil.which("nm")) is None:
        pytest.skip("there is no nm to list the symbols of the library")
    library = build(build_dir / "whole.o", CORE, f"-I{CSRC}", "-r", "-nostdlib", "-DKC_NO_C11_ATOMICS")
    shown = {line.split()[-1] for line in run(nm, "-g", "--defined-only", library).stdout.splitlines()}
    declared = {name for path in HEADERS for name in DECLARED.findall(code(path.read_text()))}
    assert {name for name in shown if not name.startswith("kci_")} == declared


def test_every_public_function_survives_a_call_with_nothing(harness: ctypes.CDLL) -> None:
    """All arguments NULL or 0, in a process of its own: misuse is an answer, never a crash."""
    names = [name for path in HEADERS for name in DECLARED.findall(code(path.read_text()))]
    program = (
        "import ctypes\n"
        f"library = ctypes.CDLL({harness._name!r})\n"
        f"for name in {[name for name in names if not name.startswith('kc_atomic_')]!r}:\n"
        "    print(name, flush=True)\n"
        "    getattr(library, name)(*[ctypes.c_void_p(None)] * 7)\n"
    )
    done = run(sys.executable, "-c", program)
    assert done.returncode == 0, done.stdout.splitlines()[-1:]
    assert len(done.stdout.splitlines()) > 60
