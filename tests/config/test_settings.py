# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Where settings come from, in which order, and what becomes of those that are wrong (rows CF1, CF4)."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import kcoro_core
from kcoro_core import config
from kcoro_core.config import MAX_FILE_BYTES, Settings, fields, load, settings

DEFAULTS = Settings()

# For each setting: what a file may say, what the environment may say, and what must be refused in a file.
GOOD: dict[str, tuple[str, Any, str, Any]] = {
    "engine": ('"reference"', "reference", "native", "native"),
    "strict_checkpoints": ("true", True, "off", False),
    "checkpoint_budget": ("7", 7, "9", 9),
    "debug": ('"info"', "info", "warning", "warning"),
    "max_frame": ("1024", 1024, "2048", 2048),
    "max_message": ("1024", 1024, "2048", 2048),
    "max_channels": ("3", 3, "4", 4),
    "max_requests": ("3", 3, "4", 4),
    "receive_budget": ("1000000", 1_000_000, "2000000", 2_000_000),
    "connect_timeout": ("1.5", 1.5, "2", 2.0),
    "hello_timeout": ("1.5", 1.5, "2", 2.0),
    "keepalive": ("1.5", 1.5, "2.5", 2.5),
    "cancel_grace": ("0.5", 0.5, "2", 2.0),
    "backlog": ("5", 5, "6", 6),
    "loop_slice": ("1", 1, "100", 100),
    "stack_size": ("1048576", 1 << 20, "300000", 300_000),
    "kept_stacks": ("0", 0, "5", 5),
    "resolver": ('"dns"', "dns", "file,system", "file,system"),
    "names": ('"names.toml"', "names.toml", "/etc/names.toml", "/etc/names.toml"),
    "dns_servers": ('"10.0.0.10"', "10.0.0.10", "127.0.0.1:5353", "127.0.0.1:5353"),
}
BAD: dict[str, tuple[str, ...]] = {
    "engine": ("1", "true", "[]"),
    "strict_checkpoints": ("1", '"yes"', "[]"),
    "checkpoint_budget": ("0", "-1", "1.5", '"64"', "true", "2147483648"),
    "debug": ("1", "true"),
    "hello_timeout": ("0", "-1.0", '"1"', "true", "nan"),
    "backlog": ("0", "nan", "{}"),
    "loop_slice": ("0", "1.5", "true", "2147483648"),
    "stack_size": ("262143", "536870913", "1e6", "true"),
    "kept_stacks": ("-1", "0.0", "false", "2147483648"),
    "resolver": ("1", "[]"),
    "names": ("1", "true"),
    "dns_servers": ("10.1", "[]"),
}
BAD_TEXT: dict[str, tuple[str, ...]] = {
    "strict_checkpoints": ("", "maybe", "2"),
    "checkpoint_budget": ("", "many", "0", "-5", "1.5"),
    "keepalive": ("soon", "0", "-1", "nan"),
    "max_frame": ("64k", "0"),
}


def read(directory: Path, text: str | None = None, **environ: str) -> Settings:
    """Load what this file and this environment say."""
    if text is not None:
        (directory / "kcoro.toml").write_text(text)
    return load(environ, directory)


class Heard(logging.Handler):
    """Keeps the text of what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.texts.append(record.getMessage())


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    """What was said about the settings."""
    heard = Heard()
    config.log.addHandler(heard)
    yield heard.texts
    config.log.removeHandler(heard)


def test_without_file_and_environment_the_defaults_hold(tmp_path: Path, warnings: list[str]) -> None:
    """Row: CF1."""
    assert read(tmp_path) == DEFAULTS
    assert (DEFAULTS.source, DEFAULTS.skipped, warnings) == (None, (), [])


def test_the_table_below_names_every_setting() -> None:
    """A setting without a line here would be a setting without a test. Row: CF4."""
    assert set(GOOD) == {f.name for f in fields()}


@pytest.mark.parametrize("name", GOOD)
def test_the_environment_beats_the_file_which_beats_the_default(tmp_path: Path, name: str, warnings: list[str]) -> None:
    """Rows: CF1, CF4."""
    in_file, from_file, in_environment, from_environment = GOOD[name]
    default = getattr(DEFAULTS, name)
    filed = read(tmp_path, f"{name} = {in_file}")
    assert getattr(filed, name) == from_file != default
    assert attrs.evolve(filed, **{name: default}, source=None) == DEFAULTS
    both = read(tmp_path, **{f"KCORO_{name.upper()}": in_environment})
    assert getattr(both, name) == from_environment != default
    assert type(getattr(both, name)) is type(from_environment)
    assert warnings == []


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_an_impossible_value_in_the_file_is_ignored_with_a_warning(
    tmp_path: Path, name: str, value: str, warnings: list[str]
) -> None:
    """The warning names the file, the setting and what it is for; the other settings of the file hold. Row: CF1."""
    found = read(tmp_path, f"{name} = {value}\nmax_channels = 5")
    assert getattr(found, name) == getattr(DEFAULTS, name)
    assert found.max_channels == 5
    assert len(warnings) == 1
    assert name in warnings[0]
    assert "kcoro.toml" in warnings[0]


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD_TEXT.items() for value in values])
def test_an_impossible_variable_is_ignored_with_a_warning(
    tmp_path: Path, name: str, value: str, warnings: list[str]
) -> None:
    """What the file says holds then. Row: CF1."""
    in_file, from_file, _, _ = GOOD[name]
    found = read(tmp_path, f"{name} = {in_file}", **{f"KCORO_{name.upper()}": value})
    assert getattr(found, name) == from_file
    assert len(warnings) == 1
    assert f"KCORO_{name.upper()}" in warnings[0]


def test_unknown_keys_are_skipped_and_remembered(tmp_path: Path, warnings: list[str]) -> None:
    """A newer file works with an older version; ``kcoro doctor`` lists what was skipped. Row: CF1."""
    found = read(tmp_path, 'backlog = 5\ncolour = "red"\nsource = "x"\n[table]\nbacklog = 6\n')
    assert found.backlog == 5
    assert found.skipped == ("colour", "source", "table")
    assert found.source == tmp_path / "kcoro.toml"
    assert warnings == []


@pytest.mark.parametrize(
    "content",
    [
        b"backlog = ",
        b"backlog = 5\nbacklog = 6",
        b"\xff\xfe",
        b"backlog = 5\x00",
        b"x = " + b"[" * 100_000,
        b"x = " + b"1" * 5000,
        b"backlog = 5\n#" + b"x" * MAX_FILE_BYTES,
    ],
    ids=["incomplete", "twice", "no-text", "nul", "deep", "long-number", "too-big"],
)
def test_a_file_that_cannot_be_read_is_refused_as_a_whole(tmp_path: Path, content: bytes, warnings: list[str]) -> None:
    """With a warning; the defaults stay, and the environment still counts. Row: CF1."""
    (tmp_path / "kcoro.toml").write_bytes(content)
    found = load({"KCORO_MAX_CHANNELS": "5"}, tmp_path)
    assert found == attrs.evolve(DEFAULTS, max_channels=5)
    assert len(warnings) == 1


def test_a_file_of_exactly_the_cap_is_read(tmp_path: Path, warnings: list[str]) -> None:
    """Row: CF1."""
    head = "backlog = 5\n#"
    assert read(tmp_path, head + "x" * (MAX_FILE_BYTES - len(head))).backlog == 5
    assert warnings == []


@pytest.mark.parametrize("path", ["/dev/zero", "."], ids=["endless", "directory"])
def test_what_is_no_file_is_refused(tmp_path: Path, path: str, warnings: list[str]) -> None:
    """A device without an end costs one mebibyte, and no more. Row: CF1."""
    assert load({"KCORO_CONFIG": path}, tmp_path) == DEFAULTS
    assert len(warnings) == 1


def test_an_empty_device_is_an_empty_file(tmp_path: Path, warnings: list[str]) -> None:
    """``KCORO_CONFIG=/dev/null`` means no configuration, whatever lies in the working directory. Row: CF1."""
    found = read(tmp_path, "backlog = 5", KCORO_CONFIG="/dev/null")
    assert (found.backlog, warnings) == (DEFAULTS.backlog, [])


def test_a_named_file_replaces_the_one_of_the_working_directory(tmp_path: Path, warnings: list[str]) -> None:
    """Row: CF1."""
    named = tmp_path / "other.toml"
    named.write_text("max_channels = 7")
    found = read(tmp_path, "backlog = 5", KCORO_CONFIG=str(named))
    assert (found.max_channels, found.backlog, found.source) == (7, DEFAULTS.backlog, named)
    assert warnings == []


def test_a_named_file_that_is_not_there_is_told(tmp_path: Path, warnings: list[str]) -> None:
    """It was asked for by name, so its absence is no accident to pass over; a missing kcoro.toml is. Row: CF1."""
    assert read(tmp_path, KCORO_CONFIG=str(tmp_path / "gone.toml")) == DEFAULTS
    assert "gone.toml" in warnings[0]


@pytest.fixture
def process_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The settings of this process come from here; they are as before afterwards."""
    for name in os.environ:
        if name.startswith("KCORO_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    config.reload()
    yield tmp_path
    monkeypatch.undo()
    config.reload()


def test_settings_are_read_once_and_again_on_reload(process_settings: Path) -> None:
    """Row: CF1."""
    assert settings().checkpoint_budget == 64
    (process_settings / "kcoro.toml").write_text("checkpoint_budget = 3")
    assert settings().checkpoint_budget == 64
    assert config.reload().checkpoint_budget == settings().checkpoint_budget == 3


def test_a_run_keeps_the_settings_that_it_began_with(process_settings: Path) -> None:
    """A reload changes what is made later, not what exists. Row: CF1."""

    async def quantum() -> int:
        ch: Any = kcoro_core.channel(kcoro_core.UNLIMITED)
        await ch.send(0)
        (process_settings / "kcoro.toml").write_text("checkpoint_budget = 3")
        config.reload()
        from kcoro_core.hosts.port import current_host

        return current_host().quantum

    assert kcoro_core.run(quantum) == 64
    assert kcoro_core.run(quantum) == 3


def test_the_settings_survive_a_working_directory_that_is_gone(
    process_settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that a user did makes reading the settings fail. Row: CF1."""
    gone = process_settings / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert config.reload() == DEFAULTS


@pytest.mark.parametrize(("strict", "turns"), [("1", 60), ("0", 0)])
def test_strict_checkpoints_change_how_often_others_run(
    process_settings: Path, monkeypatch: pytest.MonkeyPatch, strict: str, turns: int
) -> None:
    """Row: CF4."""
    import trio

    monkeypatch.setenv("KCORO_STRICT_CHECKPOINTS", strict)
    config.reload()
    seen = 0

    async def watch() -> None:
        nonlocal seen
        while True:
            seen += 1
            await trio.lowlevel.checkpoint()

    async def main() -> int:
        ch: Any = kcoro_core.channel(kcoro_core.UNLIMITED)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await trio.lowlevel.checkpoint()
            before = seen
            for i in range(60):
                await ch.send(i)
            after = seen
            nursery.cancel_scope.cancel()
        return after - before

    assert abs(kcoro_core.run(main) - turns) <= 2
    assert abs(trio.run(main) - turns) <= 2
