# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro demo`` with real worker processes: exact, whatever is killed, and nothing left behind.

Rows: N6 (what a lost link means to both sides), N8 (channels opened by name), X20 (signals as clauses).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from kcoro_core.cli import main
from kcoro_core.demo import files, program
from kcoro_core.demo.proof import Proof

from .local import plant
from .real import PATIENCE_SECONDS, Place, Terminal, demo, start, within
from .real import place as new_place

LIBRARY = Path(files.library())


@pytest.fixture
def place() -> Iterator[Place]:
    with new_place() as here:
        yield here


def counted(report: dict[str, Any]) -> Counter[str]:
    return Counter({entry["word"]: entry["count"] for entry in report["top"]})


# -- the count


def test_the_count_of_a_folder_is_exact_and_the_json_says_everything(place: Place, tmp_path: Path) -> None:
    """Row: N8."""
    expected = plant(tmp_path)
    (tmp_path / "binary").write_bytes(b"tea\0tea")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "failing").symlink_to("/proc/self/mem")
    ended = demo(place, tmp_path, "--json", "--workers", "3")
    assert (ended.code, ended.err) == (0, "")
    report = json.loads(ended.out)
    assert counted(report) == expected
    assert {key: report[key] for key in ("transport", "files", "words", "different", "malformed", "chaos")} == {
        "transport": "uds", "files": 12, "words": expected.total(), "different": len(expected), "malformed": 0,
        "chaos": None,
    }  # fmt: skip
    assert report["bytes"] == sum(path.stat().st_size for path in tmp_path.rglob("*.txt"))
    assert {(Path(entry["path"]).name, entry["reason"]) for entry in report["skipped"]} == {
        ("binary", "binary: a NUL byte in its first 8 KiB"),
        ("dangling", "No such file or directory"),
        ("failing", "Input/output error"),
    }
    assert [worker["worker"] for worker in report["workers"]] == [1, 2, 3]
    assert sum(worker["files"] for worker in report["workers"]) == 12
    assert sum(worker["bytes"] for worker in report["workers"]) == report["bytes"]
    assert sum(worker["jobs"] for worker in report["workers"]) == report["jobs"]["total"]
    assert report["jobs"] == {"total": report["jobs"]["total"], "reissued": 0, "doubles": 0}
    proof = report["proof"]
    assert (proof["equal"], proof["words"], proof["skipped"], proof["changed"]) == (True, [], [], [])
    assert (len(proof["sha256"]), proof["seconds"] > 0, report["seconds"] > 0) == (64, True, True)


def test_a_slice_of_the_standard_library_is_counted_and_proved(place: Place) -> None:
    ended = demo(place, LIBRARY / "json", LIBRARY / "asyncio", "--json", "--top", "3")
    report = json.loads(ended.out)
    assert (ended.code, report["proof"]["equal"]) == (0, True)
    assert report["files"] >= 30
    assert report["top"][0]["word"] == "self"
    assert len(report["top"]) == 3


@pytest.mark.parametrize("seed", [1, 2])
def test_chaos_kills_processes_and_the_count_is_exact(place: Place, tmp_path: Path, seed: int) -> None:
    """Row: N6."""
    expected = plant(tmp_path, files=40, words=5000)
    ended = demo(place, tmp_path, "--chaos", "--seed", str(seed), "--json")
    assert (ended.code, ended.err) == (0, "")
    report = json.loads(ended.out)
    assert counted(report) == expected
    assert report["proof"]["equal"]
    ends = [worker["end"] for worker in report["workers"] if worker["end"]]
    assert ends == ["killed by --chaos"] * len(ends)
    assert report["chaos"] == {"seed": seed, "killed": len(ends)}
    assert len(ends) >= 1  # whether one of them held a job then is luck; test_coordinator has those that do


def test_a_count_that_the_proof_does_not_confirm_is_exit_code_1(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plant(tmp_path)
    monkeypatch.setenv("TMPDIR", str(place.path))
    monkeypatch.setattr(program.tempfile, "tempdir", None)
    add = Proof._add

    def add_and_err(self: Proof, counts: Counter[str]) -> None:
        counts["tea"] += 1
        add(self, counts)

    monkeypatch.setattr(Proof, "_add", add_and_err)
    assert main(["demo", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "proof: NOT EQUAL" in out
    assert "  tea: " in out


# -- nothing to count, nothing to count with


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "no files to count in"), (b"\0", "binary"), (False, "No such file or directory")],
)
def test_no_files_is_a_clear_error(place: Place, tmp_path: Path, content: bytes | bool | None, says: str) -> None:
    path = tmp_path / "input"
    if content is not False:
        path.mkdir()
    if isinstance(content, bytes):
        (path / "file").write_bytes(content)
    ended = demo(place, path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("kcoro demo: no files to count in")
    assert says in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("args", "environment", "says"),
    [
        (["--transport", "pigeon"], {}, "no installed plugin serves 'pigeon:'"),
        (["--transport", "mem"], {}, "mem: joins tasks of one process, and the workers are others; take uds"),
        ([], {"KCORO_PLUGINS": "-uds"}, "blocked by KCORO_PLUGINS=-uds"),
        (["--workers", "0"], {}, "must be 1 or more"),
        (["--workers", "1000"], {}, "at most 256"),
        (["--top", "-1"], {}, "must be 0 or more"),
        (["--top", "x"], {}, "is no number"),
    ],
)
def test_what_cannot_be_started_is_exit_code_2(
    place: Place, tmp_path: Path, args: list[str], environment: dict[str, str], says: str
) -> None:
    """Row: X6 (a blocked plugin)."""
    plant(tmp_path, files=1)
    ended = demo(place, tmp_path, *args, **environment)
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err


def test_workers_that_cannot_start_end_the_run_with_their_last_words(place: Place, tmp_path: Path) -> None:
    plant(tmp_path / "input", files=1)
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'kcoro_core.demo.worker' in sys.orig_argv:\n"
        "    os.write(2, b'no such luck\\n')\n"
        "    os._exit(7)\n"
    )
    path = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    ended = demo(place, tmp_path / "input", PYTHONPATH=os.pathsep.join(path))
    assert (ended.code, ended.out) == (1, "")
    assert "workers in a row ended without an answer" in ended.err
    assert "ended with code 7: no such luck" in ended.err


# -- the end


@pytest.mark.parametrize("doing", ["counting", "proving"])
def test_ctrl_c_on_a_terminal_is_exit_code_130_and_leaves_nothing(place: Place, doing: str) -> None:
    """Row: X20 (the signal is a clause)."""
    terminal = Terminal(place, "--workers", "1")
    terminal.read_until(doing.encode())
    terminal.type(b"\x03")
    assert terminal.end() == 130
    assert b"kcoro demo: ended by SIGINT; no process and no socket is left" in terminal.drawn
    assert b"Traceback" not in terminal.drawn


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_process_group_ends_everything(place: Place, number: signal.Signals) -> None:
    """Row: X20."""
    process = start(place)
    place.wait_for_workers(2)
    assert [os.getsid(worker) for worker in sorted(place.processes())] == sorted(place.processes())
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 128 + number
    assert (out, err) == ("", f"kcoro demo: ended by {number.name}; no process and no socket is left\n")
    place.check_empty()


def test_a_worker_that_cannot_hear_anything_is_gone_after_ctrl_c_too(place: Place) -> None:
    process = start(place)
    place.wait_for_workers(2)
    os.kill(place.processes()[0], signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    place.check_empty()


def test_workers_end_and_clean_up_when_the_coordinator_is_killed(place: Place) -> None:
    """Row: N6: LinkLost reaches every worker."""
    process = start(place)
    place.wait_for_workers(2)
    process.kill()
    process.communicate(timeout=PATIENCE_SECONDS)
    within(lambda: place.processes() == [])
    place.check_empty()


def test_a_worker_killed_by_a_stranger_is_replaced_and_told(place: Place, tmp_path: Path) -> None:
    """Row: N6."""
    plant(tmp_path / "input")
    begun = tmp_path / "begun"
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        f"if 'kcoro_core.demo.worker' in sys.orig_argv and not os.path.exists({str(begun)!r}):\n"
        f"    open({str(begun)!r}, 'x').close()\n"
        "    signal.pause()\n"  # else it might have counted everything before it is killed
    )
    path = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = start(place, tmp_path / "input", "--workers", "1", "--json", PYTHONPATH=os.pathsep.join(path))
    within(begun.exists)
    os.kill(place.processes()[0], signal.SIGKILL)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, err) == (0, "")
    assert [worker["end"] for worker in json.loads(out)["workers"]] == ["worker 1 was killed by SIGKILL", None]


def test_a_worker_without_a_coordinator_says_so_and_touches_nothing(place: Place, tmp_path: Path) -> None:
    """Row: N6."""
    command = [sys.executable, "-m", "kcoro_core.demo.worker", f"uds:{tmp_path}/none.sock", "1"]
    folder = tmp_path / "folder"
    folder.mkdir()
    heritage = ["--folder", str(folder), "--coordinator", str(os.getpid())]
    ended = subprocess.run(
        command + heritage, capture_output=True, text=True, timeout=PATIENCE_SECONDS, env=place.environment()
    )
    assert (ended.returncode, ended.stdout, len(ended.stderr.splitlines())) == (3, "", 1)
    assert folder.is_dir()


# -- what is seen


def test_in_a_pipe_the_report_is_plain_text_without_control_characters(place: Place, tmp_path: Path) -> None:
    plant(tmp_path)
    (tmp_path / "odd \x1b[31m\n\udcff name").write_bytes(b"\0")
    ended = demo(place, tmp_path, "--top", "2")
    assert (ended.code, ended.err) == (0, "")
    assert [c for c in ended.out if not c.isprintable() and c != "\n"] == []
    lines = ended.out.splitlines()
    assert lines[0].endswith("MB")
    assert "counted by 2 workers over uds" in lines[1]
    assert sum(line.endswith(("  tea", "  milk", "  sugar")) for line in lines) >= 1
    assert any(line.startswith("WORKER  JOBS") for line in lines)
    assert "skipped 1 file:" in lines
    assert r"odd \x1b[31m\n\udcff name: binary" in ended.out
    assert lines[-1].startswith("proof: equal (one process")


@pytest.mark.parametrize("rich", [False, *([True] if find_spec("rich") else [])])
def test_on_a_terminal_a_bar_is_drawn_and_taken_away(place: Place, tmp_path: Path, rich: bool) -> None:
    plant(tmp_path)
    terminal = Terminal(place, tmp_path, rich=rich)
    assert terminal.end() == 0
    assert b"counting" in terminal.drawn
    assert b"0%" in terminal.drawn
    assert b"jobs, 2 workers" in terminal.drawn
    assert (b"\x1b[" in terminal.drawn.partition(b"words (")[0]) is rich
    last_lines = terminal.drawn.rpartition(b"words (")[2]
    assert b"counting" not in last_lines
    assert b"proof: equal" in last_lines


def test_the_bar_goes_to_stderr_so_that_json_can_be_piped(place: Place, tmp_path: Path) -> None:
    plant(tmp_path)
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "kcoro_core", "demo", "--json", str(tmp_path)],
        stdout=subprocess.PIPE, stderr=theirs, env=place.environment(),
    )  # fmt: skip
    out, _ = process.communicate(timeout=PATIENCE_SECONDS)
    os.close(theirs)
    assert json.loads(out)["proof"]["equal"]
    assert b"counting" in os.read(ours, 65536)
    os.close(ours)
