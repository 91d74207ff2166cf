# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Runtime configuration: a TOML file, above it the environment, below both the defaults (rows CF1, CF2, CF4).

The file is the one that KCORO_CONFIG names, else ``kcoro.toml`` in the working directory if it exists. Each setting
``x`` has the environment variable ``KCORO_X``. Unknown keys are skipped and reported by ``kcoro doctor``; a file over
1 MiB or one that is no TOML is refused as a whole, with a warning, and the defaults stay.

Settings are read once, when first needed; ``reload()`` reads them again. What exists keeps what it was made with.
"""

from __future__ import annotations

import logging
import os
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
from attrs import field, frozen

__all__ = ["MAX_FILE_BYTES", "Settings", "load", "reload", "settings"]

MAX_FILE_BYTES: Final = 1 << 20
"""The largest configuration file that is accepted, in bytes; of a larger one no setting is taken."""

log = logging.getLogger("kcoro.config")


def _setting(
    default: Any, purpose: str, parse: Callable[[str], Any], check: Callable[[Any], bool] = lambda _: True
) -> Any:
    return field(default=default, metadata={"purpose": purpose, "parse": parse, "check": check})


def _boolean(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    return words[text.strip().lower()]


def _positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _natural(value: Any) -> bool:
    return isinstance(value, int) and _positive(value)


def _stack(value: Any) -> bool:
    return _natural(value) and 256 << 10 <= value <= 512 << 20


def _steps(value: Any) -> bool:
    return _natural(value) and value < 1 << 31  # counted in C as well


def _count(value: Any) -> bool:
    return (value == 0 and isinstance(value, int) and not isinstance(value, bool)) or _steps(value)


@frozen
class Settings:
    """All settings with their values; ``source`` is the file they came from, ``skipped`` the keys nobody knows."""

    engine: str = _setting("auto", "engine of new channels: auto, reference, native, or a registered name", str, _text)
    strict_checkpoints: bool | None = _setting(
        None,
        "make every operation a full checkpoint; unset: yes under plain trio.run, no under kcoro_core.run",
        _boolean,
        lambda v: v is None or isinstance(v, bool),
    )
    checkpoint_budget: int = _setting(
        64, "operations that complete at once before the other tasks get a turn; less than 2**31", int, _steps
    )
    debug: str = _setting(
        "", "log level of the kcoro loggers on stderr: debug, info, warning; empty is quiet", str, _text
    )
    max_frame: int = _setting(
        1 << 17,
        "largest frame payload accepted from a peer, in bytes; longer messages travel in pieces",
        int,
        _natural,
    )
    max_message: int = _setting(1 << 20, "largest message accepted from a peer, in bytes", int, _natural)
    max_channels: int = _setting(1024, "channels that a peer may have open on one link", int, _natural)
    max_requests: int = _setting(1024, "requests that a peer may have in flight on one link", int, _natural)
    receive_budget: int = _setting(
        16 << 20,
        "bytes that one peer may cost this side: half for requests that wait here, half for what it sends unasked",
        int,
        _natural,
    )
    connect_timeout: float = _setting(
        60.0, "seconds that a medium may take to connect, whatever it allows itself", float, _positive
    )
    hello_timeout: float = _setting(
        5.0, "seconds for the handshake of a new link, from when the medium has connected", float, _positive
    )
    keepalive: float = _setting(
        30.0, "seconds of silence after which a peer is asked for a sign of life", float, _positive
    )
    cancel_grace: float = _setting(
        1.0,
        "seconds that a cancelled remote operation waits for the peer's answer before it is in doubt",
        float,
        _positive,
    )
    backlog: int = _setting(64, "connections that may wait to be accepted", int, _natural)
    resolver: str = _setting(
        "system",
        "who turns names into addresses: system, file, dns, or a registered name; several with commas, asked in order",
        str,
        _text,
    )
    names: str = _setting("", "path of the TOML file that the resolver file reads", str, _text)
    dns_servers: str = _setting(
        "",
        "servers that the resolver dns asks, as in 10.0.0.10 or 127.0.0.1:5353, with commas; empty: the system's",
        str,
        _text,
    )
    loop_slice: int = _setting(
        61,
        "steps of the native loop before it looks at timers, descriptors and other threads; less than 2**31",
        int,
        _steps,
    )
    stack_size: int = _setting(
        8 << 20,
        "bytes of address space of a stack of the native engine of which nothing else is said: 256 KiB to 512 MiB",
        int,
        _stack,
    )
    kept_stacks: int = _setting(
        1088, "free stacks of each size whose memory the native engine keeps for the next; less than 2**31", int, _count
    )
    source: Path | None = field(default=None, metadata={"fact": True})
    skipped: tuple[str, ...] = field(default=(), metadata={"fact": True})


def fields() -> list[attrs.Attribute[Any]]:
    """The settings a user can set, in the order of the manual."""
    return [f for f in attrs.fields(Settings) if "fact" not in f.metadata]


def load(environ: Mapping[str, str], directory: Path) -> Settings:
    """Read file, environment and defaults into Settings; never raises for what a user wrote, but warns."""
    source, table = _read_file(environ, directory)
    known = {f.name: f for f in fields()}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key in known:
            _accept(values, known[key], value, f"{source}")
    for name, f in known.items():
        if (text := environ.get(f"KCORO_{name.upper()}")) is not None:
            _accept_text(values, f, text)
    return Settings(**values, source=source, skipped=tuple(key for key in table if key not in known))


def _read_file(environ: Mapping[str, str], directory: Path) -> tuple[Path | None, dict[str, Any]]:
    named = environ.get("KCORO_CONFIG")
    path = Path(named) if named else directory / "kcoro.toml"
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)  # a size that was asked for would be wrong for devices and pipes
        if len(data) > MAX_FILE_BYTES:
            log.warning("%s is over %d bytes and was refused", path, MAX_FILE_BYTES)
            return None, {}
        return path.absolute(), tomllib.loads(data.decode("utf-8"))
    except FileNotFoundError:
        if named:
            log.warning("KCORO_CONFIG names %s, which does not exist", path)
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no text, no TOML, or a number of 5,000 digits
        log.warning("%s was not read: %s", path, error)
    return None, {}


def _accept_text(values: dict[str, Any], f: attrs.Attribute[Any], text: str) -> None:
    variable = f"KCORO_{f.name.upper()}"
    try:
        value = f.metadata["parse"](text)
    except (ValueError, KeyError):
        log.warning("%s=%r is not understood and was ignored", variable, text)
        return
    _accept(values, f, value, variable)


def _accept(values: dict[str, Any], f: attrs.Attribute[Any], value: Any, where: str) -> None:
    if f.metadata["check"](value):
        values[f.name] = value
    else:
        log.warning("%s: %s=%r is not possible and was ignored: %s", where, f.name, value, f.metadata["purpose"])


_current: Settings | None = None


def settings() -> Settings:
    """The settings of this process; read when first asked for."""
    return reload() if _current is None else _current


def reload() -> Settings:
    """Read the settings again; channels, links and runs that exist keep theirs."""
    global _current  # noqa: PLW0603 - one process has one configuration
    # The variable first, so that what is wrong with the rest is heard by those who listen.
    _configure_logging(level := os.environ.get("KCORO_DEBUG", ""))
    _current = load(os.environ, Path())
    if _current.debug != level:
        _configure_logging(_current.debug)
    return _current


def _configure_logging(level: str) -> None:
    """Runtime logging only, and quiet unless KCORO_DEBUG asks for more (row CF3)."""
    root = logging.getLogger("kcoro")
    if not level:
        if _handler in root.handlers:  # it was asked for before, and is not any more
            root.removeHandler(_handler)
            root.setLevel(logging.NOTSET)
        return
    name = {"1": "DEBUG", "true": "DEBUG"}.get(level.lower(), level.upper())
    known = isinstance(logging.getLevelName(name), int)
    root.setLevel(name if known else "WARNING")
    if all(isinstance(h, logging.NullHandler) for h in root.handlers):
        root.addHandler(_handler)
    if not known:
        log.warning("KCORO_DEBUG=%r is no log level; use debug, info or warning", level)


class _Stderr(logging.StreamHandler[Any]):
    """Writes to what ``sys.stderr`` is at the time, which tests and servers replace."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))

    @property
    def stream(self) -> Any:
        """Standard error."""
        return sys.stderr


_handler: Final = _Stderr()
logging.getLogger("kcoro").addHandler(logging.NullHandler())
