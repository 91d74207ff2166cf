# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Where a peer's bytes pass, nothing asserts, nothing is unpickled and nothing is evaluated.

An assert that a peer can reach is a way to end the process, and with ``-O`` a check that is gone.
"""

from __future__ import annotations

import ast

import pytest

from .tree import PACKAGES, Import, Module, imports, modules

ROOMS = ("kcoro_core.wire", "kcoro_core.link", *(package for package in PACKAGES if "_transport_" in package))
DECODERS = ("pickle", "marshal", "shelve", "dill", "cloudpickle", "multiprocessing")


def trusting(module: Module) -> list[str]:
    """Every line that trusts a peer with more than bytes."""
    lines = [found.line for found in imports(module) if found.is_in(*DECODERS)]
    for node in ast.walk(module.syntax):
        match node:
            case ast.Assert() | ast.Call(func=ast.Name(id="eval" | "exec" | "compile")):
                lines.append(node.lineno)
    return [f"{module.name}:{line}" for line in lines]


def test_rooms_that_hear_a_peer_check_instead_of_trusting() -> None:
    heard = [module for package in PACKAGES for module in modules(package) if Import(module.name, 0).is_in(*ROOMS)]
    assert heard
    assert [line for module in heard for line in trusting(module)] == []


@pytest.mark.parametrize(
    "source", ["assert length < 5", "import pickle", "from marshal import loads", "value = eval(text)"]
)
def test_the_lint_sees_a_planted_line(source: str) -> None:
    assert trusting(Module.planted("kcoro_core.wire.planted", source))
