# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What the extension refuses to be built for, what its wheel holds, and what is visible of it."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from .extension import FLAGS, NAME, PYSRC, build_extension, load_module, python_headers
from .library import CSRC, INCLUDE, NATIVE, ROOT, compiler, run

WITHOUT_STACKS = """
import sys
from pathlib import Path
from tests.native.extension import NAME, load_module

async def work():
    return 1

module = load_module(NAME, Path(sys.argv[1]))
print(module._no_stackful())
scheduler = module.Scheduler()
task = scheduler.spawn(work())
scheduler.drain()
print(task.take())
"""


def compile_as(*pretended: str) -> str:
    """What the compiler says of one file of the extension on a Python that is pretended."""
    done = run(
        compiler() or "",
        *(*FLAGS, *pretended, f"-I{INCLUDE}", f"-I{CSRC}", f"-I{python_headers()}", "-fsyntax-only", PYSRC[0]),
    )
    return "" if done.returncode == 0 else done.stderr


@pytest.mark.parametrize("version", ["0x030a0000", "0x030f00a1", "0x04000000"])
def test_a_version_that_is_not_known_is_refused_with_the_way_out(native: Any, version: str) -> None:
    said = compile_as(f"-DKPY_VERSION_HEX={version}")
    assert "kcoro-native knows CPython 3.11 to 3.14" in said
    assert "KCORO_ENGINE=reference" in said


def test_a_free_threaded_python_is_refused_with_the_way_out(native: Any) -> None:
    said = compile_as("-DKPY_PRETEND_FREE_THREADED")
    assert "needs the GIL" in said
    assert "KCORO_ENGINE=reference" in said


@pytest.mark.parametrize("version", [name for name in ("0x030b0000", "0x030c0000") if int(name, 16) <= sys.hexversion])
def test_the_sources_compile_as_an_earlier_version_would_have_them(native: Any, version: str) -> None:
    """What a later version brought is asked for by number; without it there is another way."""
    assert compile_as(f"-DKPY_VERSION_HEX={version}", "-Wno-deprecated-declarations") == ""


@pytest.mark.parametrize(
    ("name", "flags", "why"),
    [
        ("untested", ["-DKPY_HAS_PRIVATE_STACKS=0"], "need CPython 3.11 to 3.14; this version runs `async def` only"),
        # A weak symbol that nobody defines, as in the first versions of 3.14.
        (
            "untold",
            ["-DKPY_HAS_BOUNDS=1", "-DKPY_SET_BOUNDS=PyUnstable_KcoroHasNone"],
            "need PyUnstable_ThreadState_SetStackProtection, which later versions of CPython 3.14 have",
        ),
    ],
)
def test_a_version_without_private_stacks_says_so_and_runs_async_functions(
    native: Any, build_dir: Path, name: str, flags: list[str], why: str
) -> None:
    """Compiled as for a version that nobody has tested with them, or that cannot be told of them. Row: C9."""
    folder = build_dir / name
    folder.mkdir(exist_ok=True)
    built = build_extension(folder, *flags, "-O0")
    # In a process of its own: one has no room for the thread-local words of many copies.
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_STACKS, built], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert why in done.stdout
    assert done.stdout.endswith("1\n")


def test_nothing_of_the_library_is_visible(native: Any) -> None:
    """Another copy of libkcoro in the process is not mistaken for the one inside."""
    shared = ctypes.CDLL(native.__file__)
    assert shared.PyInit__native
    for name in ("kc_version", "kci_switch", "kci_switch_back", "kci_switch_prepare"):
        assert not hasattr(shared, name)


def test_each_module_object_has_a_state_of_its_own(native: Any, build_dir: Path) -> None:
    """As an interpreter of its own would have; objects of one are strangers to the other."""
    other = load_module(NAME, Path(native.__file__))
    assert other.Operation is not native.Operation
    kinds = [sys.modules["kcoro_core.semantics"].Kind.RENDEZVOUS, None, sys.modules["kcoro_core.semantics"].SUSPEND]
    with pytest.raises(TypeError, match="of the same engine"):
        native.ChannelCore(*kinds).enqueue(other.Operation(None))


def test_a_wheel_holds_the_package_and_the_extension(tmp_path: Path) -> None:
    """Built as pip does it; neither the library, nor its headers, nor tests."""
    pytest.importorskip("scikit_build_core", reason="scikit-build-core is not installed, so no wheel can be built")
    if compiler() is None:
        pytest.skip("there is no C compiler (cc, or what CC names)")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "-w", tmp_path, NATIVE]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    sources = {path.name for path in (NATIVE / "src" / "kcoro_native").iterdir() if path.is_file()}
    extension = {name for name in names if Path(name).name.startswith("_native.c")}
    assert len(extension) == 1
    assert names - extension == {f"kcoro_native/{name}" for name in sources}


def test_what_was_compiled_in_is_told(native: Any, tmp_path: Path) -> None:
    """Where a part is missing there is another; ``kcoro doctor`` shows which. Rows: CF5, C4."""
    without = ("-DKC_NO_C11_ATOMICS", "-DKC_NO_SWITCHER")
    poor = load_module(NAME, build_extension(tmp_path, "-O0", *without, port=False)).compiled()
    assert (poor["atomics"], poor["pollers"]) == ("mutex", ["poll"])
    assert poor["switcher"] == "none"
    assert native.compiled()["atomics"] == "C11"
    assert native.compiled()["switcher"] in ("x86-64", "aarch64", "riscv64")
    assert native.compiled()["libkcoro"] == native.VERSION
