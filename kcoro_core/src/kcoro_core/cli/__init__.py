# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The command ``kcoro``: each module of this package that does not begin with an underscore is one subcommand.

A subcommand is a file with ``SUMMARY`` (one line), ``EXAMPLE`` (command lines that work), ``configure(parser)`` and
``run(args) -> int``. Nothing is registered anywhere else.

Exit codes, the same for every command: 0 all is well, 1 the command found something wrong and says what, 2 it could not
be understood or started, 130 Ctrl-C; ``send`` and ``recv`` have more, which their help lists.

Rule 1: in a pipe the output is plain text, one record a line; ``--json`` is for programs.
Rule 2: an error goes to stderr as one line that says what to do next; KCORO_DEBUG=1 adds the traceback.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import pkgutil
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Protocol, cast

from ..errors import KcoroError

__all__ = ["Command", "main"]


class Command(Protocol):
    """What a module of this package looks like."""

    SUMMARY: str
    EXAMPLE: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments of this subcommand."""
        ...

    def run(self, args: argparse.Namespace) -> int:
        """Do it; the result is the exit code."""
        ...


def commands() -> dict[str, Command]:
    """Every subcommand by name, in the order of the alphabet."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_"))
    return {name.replace("_", "-"): cast(Command, importlib.import_module(f"{__name__}.{name}")) for name in names}


class Intermixed(argparse.ArgumentParser):
    """Options may stand anywhere, also between positional arguments: ``kcoro send URI --bytes FILE``."""

    _inside = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As ever, but intermixed; that may call this method again for each of its two passes."""
        if self._inside:
            return super().parse_known_args(args, namespace)
        self._inside = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._inside = False


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="kcoro",
        description="Channels and an exactly-once select, inside a process and across processes.",
        epilog="Each command has its own help with an example: kcoro doctor --help",
    )
    parser.add_argument("--version", action="version", version=f"kcoro-core {version('kcoro-core')}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Intermixed)
    for name, command in commands().items():
        sub = subparsers.add_parser(
            name,
            help=command.SUMMARY,
            description=command.SUMMARY,
            epilog=f"example:\n{_indented(command.EXAMPLE)}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.configure(sub)
        sub.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (None: the one of this process) and return its exit code; argparse may exit with 0 or 2."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever read our output has gone (`kcoro plugins | head -1`). Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except (KcoroError, ValueError, OSError) as error:
        logging.getLogger("kcoro.cli").debug("%s failed", args.command, exc_info=True)
        print(f"kcoro {args.command}: {error}", file=sys.stderr)
        return 2


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines())
