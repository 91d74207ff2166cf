# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Every code block of the manual is run and does what the page says. Rows: Q2, Q7."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kcoro_core import config, plugins

from .blocks import DOCS, ROOT, Block, blocks, pages
from .running import Wrong, run_page

FEW_WORDS = 4


@pytest.fixture(autouse=True)
def _settings_of_the_reader(monkeypatch: pytest.MonkeyPatch) -> object:
    """Whatever a page configures ends with it."""
    yield
    monkeypatch.undo()
    config.reload()
    plugins.reset()


@pytest.mark.timeout(600)  # some pages start a dozen programs, on a machine that may be busy
@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_examples_of_a_page_do_what_it_says(page: Path, tmp_path: Path) -> None:
    """Row: Q2, Q7."""
    run_page(blocks(page), tmp_path)


def exceptions() -> list[Block]:
    return [block for page in pages() for block in blocks(page) if block.order == "not run"]


def test_every_exception_has_a_reason() -> None:
    """A block that is not run says why in a few words; their number is printed at the end of the test run."""
    assert [block.where for block in exceptions() if len(block.reason.split()) < FEW_WORDS] == []


def test_the_test_file_of_a_plugin_is_short() -> None:
    """The page about plugins has one that runs the whole kit, in at most 20 lines. Rows: X7, T4."""
    files = [block for block in blocks(DOCS / "plugins.md") if block.argument == "test_conformance.py"]
    assert len(files) == 1
    assert len(files[0].text.splitlines()) <= 20
    assert "transport_kit" in files[0].text


def planted(text: str) -> list[Block]:
    return blocks(ROOT / "planted.md", text)


@pytest.mark.parametrize(
    "text",
    [
        "```python\nprint(1)\n```\n\n```text\n2\n```\n",
        "```python\nprint(1)\n```\n",
        "```console\n$ echo 1\n2\n```\n",
        "```console\nno command\n```\n",
        "```toml\ncheckpoint_budget = 0\n```\n",
        "```toml\nno_such_setting = 1\n```\n",
        "```cobol\nSTOP RUN.\n```\n",
        "```\nno language\n```\n",
    ],
)
def test_a_block_that_does_not_do_what_the_page_says_is_found(text: str, tmp_path: Path) -> None:
    with pytest.raises(Wrong):
        run_page(planted(text), tmp_path)


def test_an_error_in_a_block_is_found_and_names_the_line_of_the_page(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run_page(planted("words\n\n```python\na = 1\na / 0\n```\n"), tmp_path)
    assert caught.traceback[-1].lineno == 4  # counted from 0


def test_an_exception_is_left_out_and_a_file_is_there_for_the_console(tmp_path: Path) -> None:
    text = (
        "<!-- not run: it would format a disk -->\n```sh\nmkfs\n```\n"
        "<!-- file: a/b.txt -->\n```text\nhello\n```\n"
        "```console\n$ cat a/b.txt\nhello\n```\n"
    )
    assert run_page(planted(text), tmp_path) == 2


def test_what_a_page_sets_in_the_environment_is_for_that_page(tmp_path: Path) -> None:
    text = (
        "```python\nimport os\nfrom kcoro_core import config\nos.environ['KCORO_NAMES'] = 'x'\nconfig.reload()\n```\n"
    )
    before = os.environ.copy()
    assert run_page(planted(text), tmp_path) == 1
    assert os.environ == before
    assert config.settings().names == ""
