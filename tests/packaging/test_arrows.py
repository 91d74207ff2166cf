# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Which package may import which, and which rooms of core know no input, output or clock.

The arrows point one way: transports to core, core to pluggy, attrs and trio. Rows: T5.
"""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from .tree import PACKAGES, Import, Module, imports, modules, project

CORE = "kcoro_core"
SANS_IO_ROOMS = (f"{CORE}.reference", f"{CORE}.wire")

# What each package folder may import besides the standard library and itself.
ALLOWED = {CORE: {"attrs", "pluggy", "trio"}} | {package: {"attrs", CORE} for package in PACKAGES if package != CORE}
ALLOWED["kcoro_transport_quic"] |= {"qh3"}  # a library that speaks QUIC, and has no dependencies

# A room of core that may import more than core as a whole, and why.
ROOM_ALLOWED = {
    f"{CORE}.testing": {"pytest", "hypothesis"},  # shipped laws and kits; extra `testing`, never imported by the rest
    f"{CORE}.cli": {"rich"},  # a progress bar; extra `progress`
    f"{CORE}.certificates": {"trustme"},  # extra `dev-certs`
    f"{CORE}.resolvers": {"dns"},  # extra `dns`
}

# Modules by which a file would learn the time, toss a coin, or touch the world outside.
WORLD = (
    *("asyncio", "concurrent", "datetime", "fcntl", "multiprocessing", "os", "queue", "random", "sched", "secrets"),
    *("select", "selectors", "signal", "socket", "socketserver", "ssl", "subprocess", "threading", "time", "trio"),
)


def foreign(package: str, module: Module) -> list[str]:
    """Imports of this module for which no arrow is drawn."""
    allowed = {package, *ALLOWED[package]}
    for room, more in ROOM_ALLOWED.items():
        if Import(module.name, 0).is_in(room):
            allowed |= more
    return [
        f"{module.name}:{found.line} imports {found.target}"
        for found in imports(module)
        if not found.is_in(*allowed) and found.target.split(".")[0] not in sys.stdlib_module_names
    ]


def worldly(module: Module) -> list[str]:
    """Imports of this module that reach the world outside."""
    return [f"{module.name}:{found.line} imports {found.target}" for found in imports(module) if found.is_in(*WORLD)]


def reached(start: list[Module], known: list[Module]) -> list[Module]:
    """The modules that ``start`` runs on: themselves, and what they import of the same package, and so on."""
    by_name = {module.name: module for module in known}
    seen: dict[str, Module] = {}
    waiting = list(start)
    while waiting:
        module = waiting.pop()
        if module.name in seen:
            continue
        seen[module.name] = module
        for found in imports(module, for_types=False):
            name = found.target if found.target in by_name else found.target.rpartition(".")[0]
            waiting.extend([by_name[name]] if name in by_name else [])
    return list(seen.values())


def sans_io(known: list[Module]) -> list[str]:
    """Every way in which a sans-IO room reaches the world: itself, or through a module that it runs on."""
    rooms = [module for module in known if Import(module.name, 0).is_in(*SANS_IO_ROOMS)]
    return [line for module in reached(rooms, known) for line in worldly(module)]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_along_the_arrows(package: str) -> None:
    """Core never imports a plugin package; transports never import each other. Row: T5."""
    assert [line for module in modules(package) for line in foreign(package, module)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_declares_what_it_may_import_and_no_more(package: str) -> None:
    """Core has three run-time dependencies; a transport has its core."""
    dependencies = project(package)["project"]["dependencies"]
    declared = {re.split(r"[ >~=]", line)[0].replace("-", "_") for line in dependencies}
    assert declared <= ALLOWED[package]
    assert declared == ALLOWED[CORE] or CORE in declared


def test_sans_io_rooms_reach_no_socket_clock_thread_or_coin() -> None:
    """The reference engine and the wire protocol get bytes and time as arguments."""
    assert sans_io(modules(CORE)) == []


def test_all_of_core_is_imported_without_a_plugin_package() -> None:
    """Row: T5."""
    names = [module.name for module in modules(CORE) if not Import(module.name, 0).is_in(f"{CORE}.testing")]
    program = (
        "import importlib, sys\n"
        f"for name in {names!r}: name.endswith('__main__') or importlib.import_module(name)\n"
        "print([name for name in sys.modules if name.startswith('kcoro_') and not name.startswith('kcoro_core')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize(
    ("package", "source"),
    [
        (CORE, "import kcoro_transport_uds"),
        (CORE, "def late():\n    from kcoro_native import engine"),
        (CORE, "import importlib\nimportlib.import_module('kcoro_transport_uds.plugin')"),
        (CORE, "import pytest"),
        (CORE, "from rich.progress import Progress"),
        ("kcoro_transport_uds", "from kcoro_transport_tcp.link import Link"),
        ("kcoro_transport_uds", "import trio"),
    ],
)
def test_the_arrow_lint_sees_a_planted_import(package: str, source: str) -> None:
    assert len(foreign(package, Module.planted(f"{package}.planted", source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from random import Random",
        "def late():\n    import trio.lowlevel",
        "from ..hosts.trio import TrioHost",
        "from kcoro_core.hosts import trio",
    ],
)
def test_the_sans_io_lint_sees_a_planted_import(source: str) -> None:
    host = Module.planted(f"{CORE}.hosts.trio", "import trio")
    assert len(sans_io([Module.planted(f"{CORE}.wire.planted", source), host])) == 1
