# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The licence is BSD-3-Clause, and every file, folder and package says so. Row: Q10."""

from __future__ import annotations

from pathlib import Path

import pytest

from .tree import PACKAGES, ROOT, project, sources

NOTICE = ("# SPDX-License-Identifier: BSD-3-Clause", "# Copyright (c) the kcoro authors")


NOTICE_OF_C = tuple(f"/* {line.removeprefix('# ')} */" for line in NOTICE)


def unlicensed(text: str) -> bool:
    """Whether a source file lacks the two lines at its top (a script may open with its interpreter)."""
    lines = text.splitlines()
    start = 1 if lines and lines[0].startswith("#!") else 0
    return tuple(lines[start : start + 2]) not in (NOTICE, NOTICE_OF_C)


def scripts() -> list[Path]:
    """The shell scripts: files without a suffix that name their interpreter."""
    return [path for path in sources() if not path.suffix and path.read_bytes().startswith(b"#!")]


def test_every_source_file_opens_with_its_licence() -> None:
    """Row: Q10."""
    files = [*sources(".py", ".pyi", ".c", ".h", "CMakeLists.txt"), *scripts()]
    assert len(files) > 10
    assert [str(path.relative_to(ROOT)) for path in files if unlicensed(path.read_text())] == []


@pytest.mark.parametrize(
    "text",
    ["", "import os\n", NOTICE[0] + "\n", NOTICE[1] + "\n" + NOTICE[0] + "\n", f"{NOTICE_OF_C[0]}\n{NOTICE[1]}\n"],
)
def test_the_header_lint_sees_a_planted_file(text: str) -> None:
    """Row: Q10."""
    assert unlicensed(text)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_carries_the_licence(package: str) -> None:
    """Row: Q10."""
    assert (ROOT / package / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert project(package)["project"]["license"] == "BSD-3-Clause"
    assert project(package)["project"]["license-files"] == ["LICENSE"]


def test_the_clean_room_note_is_there_and_the_readme_points_at_it() -> None:
    """Row: Q10."""
    assert "No code was copied or translated" in (ROOT / "CLEANROOM.md").read_text()
    assert "(CLEANROOM.md)" in (ROOT / "README.md").read_text()
