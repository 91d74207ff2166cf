# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Faults planted into the extension are found by its tests, run under the sanitizers: references, cycles, comebacks."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from .extension import FLAGS, PYSRC, build_module, python_headers
from .library import CORE, CSRC, HERE, PORT, PORT_FLAGS, ROOT, SANITIZED, compiler, run

FAULTS = {
    "an element that was taken is not counted": ("channel.c", "        Py_INCREF((PyObject *)w->value);\n", ""),
    "who leaves twice is let go twice": ("channel.c", "if (place->is_leaving) {", "if (false) {"),
    "who has left is kept": ("channel.c", "    Py_DECREF(place->owner);\n}\n\nvoid kpy_leave", "}\n\nvoid kpy_leave"),
    "who has left goes at once": ("channel.c", "    if (place->is_leaving) { /*", "    if (true) { /*"),
    "a ring is visited beyond its end": ("channel.c", " % ring->room", ""),
    "elements are not visited": ("channel.c", "i < ring->length; i++", "i < 0; i++"),
    "senders are not visited": ("channel.c", "visit_waiters(self->ch->senders.first", "visit_waiters(NULL"),
    "a reason is not visited": ("channel.c", "    Py_VISIT(self->reason);\n", ""),
    "a hook is not visited": ("channel.c", "    Py_VISIT(self->on_undelivered);\n", ""),
    "elements of a collected channel leak": (
        "channel.c",
        "        Py_DECREF((PyObject *)kci_ring_pop(&self->ch->ring));\n",
        "        kci_ring_pop(&self->ch->ring);\n",
    ),
    "waiters of a collected channel leak": (
        "channel.c",
        "        Py_DECREF(place->owner);\n    }\n}\n\nstatic void empty",
        "    }\n}\n\nstatic void empty",
    ),
    "a channel within a channel is freed by recursion": (
        "channel.c",
        "Py_TRASHCAN_BEGIN(o, channel_dealloc)",
        "Py_TRASHCAN_BEGIN(o, 0)",
    ),
    "the arms of a closed channel hear no reason": (
        "channel.c",
        "->select->reason = self->reason",
        "->select->reason = NULL",
    ),
    "an error is not visited": ("operation.c", "    Py_VISIT(self->error);\n", ""),
    "a result is not visited": ("operation.c", "    Py_VISIT((PyObject *)self->op.value);\n", ""),
    "an end without the module": ("operation.c", "    Py_INCREF(state->module);\n", ""),
    "the module leaks": ("operation.c", "    Py_DECREF(state->module); /*", "    /*"),
    "a type leaks": ("operation.c", "    Py_DECREF(type);\n", ""),
    "an old value leaks": (
        "operation.c",
        "    *where = Py_NewRef(value);\n    Py_XDECREF(old);\n",
        "    *where = Py_NewRef(value);\n    (void)old;\n",
    ),
    "what was offered is kept": (
        "deciding.c",
        "        self->place.as_try.waiter.value = NULL;\n    }",
        "        offered = NULL;\n    }",
    ),
    "an error counts as success": ("deciding.c", "self->op.error = -EPIPE;", "self->op.error = 0;"),
    "an argument is not looked at": ("deciding.c", "if (!PyExceptionInstance_Check(error)) {", "if (false) {"),
    "the queue keeps nobody alive": (
        "moving.c",
        "    Py_INCREF(place->owner);\n    place->at = self;\n",
        "    place->at = self;\n",
    ),
    "who withdraws stays": (
        "moving.c",
        "        place->at = NULL;\n    Py_DECREF(place->owner);\n",
        "        place->at = NULL;\n",
    ),
    "what was refused leaks": ("moving.c", "    if (code != 0)\n        Py_DECREF(value);\n", ""),
    "an old reason leaks": (
        "moving.c",
        "    self->reason = Py_NewRef(reason);\n    Py_XDECREF(old);\n",
        "    self->reason = Py_NewRef(Py_NewRef(reason));\n    Py_XDECREF(old);\n",
    ),
    "what comes back is not counted": (
        "lending.c",
        "        Py_INCREF(PyTuple_GET_ITEM(put_back, i));\n",
        "        ;\n",
    ),
    "an iterator goes on without its place": ("waiting.c", "self->last->as_try.waiter.list != list", "false"),
    "an iterator keeps whom it has given": (
        "waiting.c",
        "    if (before != NULL)\n        Py_DECREF(before->owner);\n",
        "",
    ),
    "ctrl-c is swallowed": ("shared.c", "        PyErr_SetInterrupt(); /*", "        /*"),
    "a failure of a hook is swallowed": (
        "channel.c",
        "        kpy_report(self->state, doing);\n",
        "        PyErr_Clear();\n",
    ),
    "memory of the library is not Python's": ("module.c", "    kc_memory_use(&memory);\n", "    (void)memory;\n"),
}
# The quickest first; the first failure ends it.
TESTS = [HERE / f"test_extension_{name}.py" for name in ("life", "misuse", "failing", "model")]


@pytest.fixture(scope="module")
def objects(native: Any, sanitizers: None, build_dir: Path) -> Path:
    """The sound files of the extension, each compiled on its own."""
    folder = build_dir / "extension"
    folder.mkdir()
    for source in [*CORE, *PORT, *PYSRC]:
        compile_into(folder / f"{source.parent.name}-{source.name}.o", source)
    return folder


def compile_into(target: Path, source: Path) -> None:
    """Compile one file for the sanitizers, against the headers of the sources."""
    includes = [f"-I{folder}" for folder in (PYSRC[0].parent, CSRC, CSRC / "include", python_headers())]
    flags = [*FLAGS, *SANITIZED, *PORT_FLAGS, "-w", "-fPIC", "-fvisibility=hidden"]
    done = run(compiler() or "", *flags, *includes, "-c", source, "-o", target)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str, objects: Path, tmp_path: Path) -> None:
    """Or the tests do not reach what it breaks."""
    name, old, new = FAULTS[fault]
    text = (PYSRC[0].parent / name).read_text()
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new, 1))
    compile_into(tmp_path / f"{name}.o", tmp_path / name)
    sound = [path for path in objects.iterdir() if path.name != f"pysrc-{name}.o"]
    built = build_module(tmp_path, "_native", [*sound, tmp_path / f"{name}.o"], *SANITIZED)
    command = [ROOT / ".ci" / "under-sanitizers", sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    done = run(*command, *TESTS, env={**os.environ, "EXTENSION": str(built), "KCORO_NO_SKIPS": "1"})
    assert done.returncode not in (0, 2, 3, 4, 5), (done.stdout + done.stderr)[-2000:]
