# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What is counted, in what order, and what is reported instead."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcoro_core.demo import files
from kcoro_core.demo.files import Skipped, Source, Unfit, batches, blocks, discover


def found(*paths: Path) -> list[Source | Skipped]:
    return list(discover([str(path) for path in paths]))


def paths_of(items: Iterable[Source | Skipped]) -> list[str]:
    return [item.path for item in items]


DEEP = [f"d{number}/4" for number in (1, 2, 3, 4, 5, 6, 9)]


def test_folders_are_walked_in_the_order_of_names_and_each_file_comes_once(tmp_path: Path) -> None:
    for name in ("b/2", "b/1", "a/3", "c", *(f"d{number}/4" for number in (3, 1, 4, 5, 9, 2, 6))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    whole = paths_of(found(tmp_path))
    assert whole == [str(tmp_path / name) for name in ("c", "a/3", "b/1", "b/2", *DEEP)]
    assert paths_of(found(tmp_path / "b", tmp_path, tmp_path / "c"))[:2] == [str(tmp_path / n) for n in ("b/1", "b/2")]
    assert sorted(paths_of(found(tmp_path, tmp_path / "b"))) == sorted(whole)


def test_what_is_no_file_is_reported_with_its_reason(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to("nowhere")
    assert found(tmp_path, tmp_path / "missing") == [
        Skipped(str(tmp_path / "dangling"), "No such file or directory"),
        Skipped(str(tmp_path / "pipe"), "not a regular file"),
        Skipped(str(tmp_path / "missing"), "No such file or directory"),
    ]


def test_a_folder_that_cannot_be_read_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "open").write_text("word")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert Skipped(str(tmp_path / "closed"), "Permission denied") in found(tmp_path)
    assert str(tmp_path / "open") in paths_of(found(tmp_path))


def test_without_paths_the_sources_of_the_standard_library_are_found() -> None:
    items = list(discover([]))
    assert len(items) > 500
    assert os.path.join(files.library(), "json", "decoder.py") in paths_of(items)
    assert not [path for path in paths_of(items) if "site-packages" in path or not path.endswith(".py")]


@pytest.mark.parametrize("content", [b"\0", b"word" * 2000 + b"\0"])
def test_a_nul_byte_at_the_beginning_makes_a_file_binary(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(Unfit, match="binary"):
        list(blocks(str(tmp_path / "file")))


def test_a_pipe_in_place_of_a_file_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unfit, match="not a regular file"):
        list(blocks(str(tmp_path / "pipe")))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a file of /proc that fails when it is read")
def test_a_file_that_fails_while_it_is_read_is_unfit_with_the_words_of_the_system() -> None:
    with pytest.raises(Unfit, match="Input/output error"):
        list(blocks("/proc/self/mem"))


@given(sizes=st.lists(st.integers(0, 300), max_size=60), limit=st.integers(1, 400))
def test_batches_hold_every_file_once_in_order_within_the_limit(sizes: list[int], limit: int) -> None:
    sources = [Source(f"{number}", size) for number, size in enumerate(sizes)]
    made = list(batches(sources, limit))
    assert [source for batch in made for source in batch] == sources
    assert all(sum(s.size for s in batch) <= limit or len(batch) == 1 for batch in made)
    assert all(len(batch) > 0 for batch in made)


def test_a_batch_is_short_to_write_however_long_the_names() -> None:
    sources = [Source("/" + "\udcff" * 1000 + f"/{number}", 0) for number in range(300)]
    made = list(batches(sources, 1))
    assert sum(map(len, made)) == 300
    assert all(len(json.dumps([s.path for s in batch])) < 2 * files.PATHS_BYTES for batch in made)
    assert max(map(len, made)) > 1


def test_no_batch_has_more_files_than_a_message_may_name() -> None:
    made = list(batches([Source(f"{number}", 0) for number in range(600)], 1))
    assert [len(batch) for batch in made] == [files.FILES_PER_BATCH] * 2 + [600 - 2 * files.FILES_PER_BATCH]
