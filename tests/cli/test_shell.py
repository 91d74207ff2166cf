# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro send`` and ``kcoro recv`` with real processes, pipes and signals. Rows: X13."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kcoro_core.cli import build_parser, recv, send
from kcoro_core.shell.outcome import Cause

from .shell import PATIENCE_SECONDS, Place, end, until, until_at_rest
from .shell import place as new_place

MANUAL = Path(__file__).resolve().parents[2] / "docs" / "commands.md"
LINES = b"".join(b"line %d\n" % number for number in range(500))
MEGABYTE = 1 << 20
# A pipe of 16 pages is full with this much at the least: small writes do not share a page with others.
FULL = 32_768
"""Bytes that lie in a pipe into which nothing more fits, at least."""
MOVED = 200_000
"""Bytes that two pipes and the channel between them take, at least."""


@pytest.fixture
def place() -> Iterator[Place]:
    with new_place() as here:
        yield here


# -- what goes through


@pytest.mark.parametrize("listens", ["send", "recv"])
@pytest.mark.parametrize(
    ("given", "written"),
    [(LINES, LINES), (b"", b""), (b"no newline", b"no newline\n"), (b"\n\na\r\n\0\xff", b"\n\na\r\n\0\xff\n")],
    ids=["lines", "nothing", "no-newline", "odd"],
)
def test_lines_arrive_whichever_side_listens(place: Place, listens: str, given: bytes, written: bytes) -> None:
    receiver = place.recv(place.uri, *["--listen"] * (listens == "recv"))
    sent = end(place.send(place.uri, *["--listen"] * (listens == "send")), given)
    received = end(receiver)
    assert (sent.code, sent.out, sent.err) == (0, b"", "")
    assert (received.code, received.out, received.err) == (0, written, "")


def test_frames_arrive_with_their_boundaries(place: Place) -> None:
    elements = [b"", b"a\nb", bytes(range(256)) * 1000]
    frames = b"".join(struct.pack(">I", len(element)) + element for element in elements)
    receiver = place.recv(place.uri, "--listen", "--frames")
    assert end(place.send(place.uri, "--frames"), frames).code == 0
    assert end(receiver).out == frames


def test_files_of_bytes_arrive_as_they_are_and_in_their_order(place: Place) -> None:
    data = os.urandom(3 * MEGABYTE)
    (place.folder / "one").write_bytes(data)
    (place.folder / "copy").write_bytes(b"what was there before, and longer" * MEGABYTE)
    receiver = place.recv(place.uri, "--listen", "--bytes", "-o", "copy", "--json")
    assert end(place.send(place.uri, "--bytes", "one", "-", "one"), b"between").code == 0
    received = end(receiver)
    assert (place.folder / "copy").read_bytes() == data + b"between" + data
    assert json.loads(received.err)["bytes"] == 6 * MEGABYTE + 7


def test_a_line_never_spans_two_files(place: Place) -> None:
    (place.folder / "one").write_bytes(b"a\nb")
    receiver = place.recv(place.uri, "--listen")
    assert end(place.send(place.uri, "one", "one")).code == 0
    assert end(receiver).out == b"a\nb\na\nb\n"


def test_each_line_goes_to_one_of_several_receivers(place: Place) -> None:
    sender = place.send(place.uri, "--listen", "--receivers", "3", "--capacity", "0")
    receivers = [place.recv(place.uri) for _ in range(3)]
    assert end(sender, LINES).code == 0
    ends = [end(receiver) for receiver in receivers]
    assert [one.code for one in ends] == [0, 0, 0]
    assert sorted(b"".join(one.out for one in ends).splitlines()) == sorted(LINES.splitlines())


def test_several_senders_feed_one_receiver_until_one_closes(place: Place) -> None:
    receiver = place.recv(place.uri, "--listen")
    for word in (b"one", b"two"):
        assert end(place.send(place.uri, "--leave-open"), word).code == 0
    assert receiver.poll() is None
    assert end(place.send(place.uri), b"three").code == 0
    assert end(receiver).out == b"one\ntwo\nthree\n"


def test_a_line_is_passed_on_when_it_is_whole_and_not_when_the_input_ends(place: Place) -> None:
    """The input stays open."""
    receiver, sender = place.recv(place.uri, "--listen"), place.send(place.uri)
    assert sender.stdin is not None
    assert receiver.stdout is not None
    for word in (b"one\n", b"two\n"):
        sender.stdin.write(word)
        sender.stdin.flush()
        assert os.read(receiver.stdout.fileno(), 100) == word
    assert end(sender).code == end(receiver).code == 0


def test_names_of_channels_are_kept_apart(place: Place) -> None:
    receiver = place.recv(f"{place.uri}#a", "--listen")
    missed = end(place.send(f"{place.uri}#b"), b"x")
    assert (missed.code, "nothing is exported as 'b'" in missed.err) == (Cause.REFUSED.code, True)
    assert receiver.poll() is None
    assert end(place.send(f"{place.uri}#a"), b"y").code == 0
    assert end(receiver).out == b"y\n"


# -- back-pressure


def fill(pipe: int, other_end: int) -> int:
    """Write into a pipe until the other end's is full, too, and nobody takes anything; how much went in."""
    os.set_blocking(pipe, False)
    size = 0
    deadline = time.monotonic() + PATIENCE_SECONDS
    while select.select([], [pipe], [], 1.0)[1] or unread(other_end) < FULL or size < MOVED:
        assert time.monotonic() < deadline, f"{unread(other_end)} bytes have come out"
        with contextlib.suppress(BlockingIOError):
            size += os.write(pipe, b"x" * 1023 + b"\n")
    return size


@pytest.mark.parametrize("listens", ["send", "recv"])
def test_whoever_fills_the_pipe_waits_for_whoever_reads_at_the_other_end(place: Place, listens: str) -> None:
    """Nothing reads the receiver's output, so pipes, channel and chunks fill up, and no more: under a megabyte."""
    receiver = place.recv(place.uri, *["--listen"] * (listens == "recv"))
    sender = place.send(place.uri, *["--listen"] * (listens == "send"))
    assert sender.stdin is not None
    assert receiver.stdout is not None
    size = fill(sender.stdin.fileno(), receiver.stdout.fileno())
    assert MOVED <= size < MEGABYTE
    os.set_blocking(sender.stdin.fileno(), True)
    sender.stdin.close()
    sender.stdin = None
    assert len(end(receiver).out) == size
    assert end(sender).code == 0


# -- ends that are not good


@pytest.mark.parametrize("listens", ["send", "recv"])
def test_a_line_that_is_too_long_is_named_and_what_was_before_arrives(place: Place, listens: str) -> None:
    receiver = place.recv(place.uri, *["--listen"] * (listens == "recv"))
    sender = place.send(place.uri, *["--listen"] * (listens == "send"))
    sent, received = end(sender, b"a\nb\n" + b"x" * (2 * MEGABYTE)), end(receiver)
    assert (sent.code, received.code, received.out) == (Cause.DATA.code, Cause.DATA.code, b"a\nb\n")
    assert re.match(r"kcoro send: line 3 has more than 1048576 bytes.* fold it, .*; 2 lines accepted$", sent.err)
    assert re.match(r"kcoro recv: the sender has not sent everything: line 3 .*; 2 lines written$", received.err)


@pytest.mark.parametrize(
    ("given", "says"),
    [(b"\0\0\0\3ab", "the input ends inside frame 1"), (b"\0\0\0\1a\xff\0\0\0", "frame 2 says that it has 4278190080")],
)
def test_a_frame_that_is_none_is_named(place: Place, given: bytes, says: str) -> None:
    receiver = place.recv(place.uri, "--listen", "--frames")
    sent = end(place.send(place.uri, "--frames"), given)
    assert (sent.code, end(receiver).code) == (Cause.DATA.code, Cause.DATA.code)
    assert says in sent.err


def offer_lines(pipe: int) -> None:
    """Write until nobody reads any more; while there is no room, wait for it."""
    while os.write(pipe, b"more\n"):
        pass


def test_a_reader_that_closes_early_ends_the_receiver_and_the_sender(place: Place) -> None:
    """As ``yes | kcoro send`` with ``kcoro recv | head -1``."""
    receiver = place.recv(place.uri, "--listen")
    sender = place.send(place.uri)
    assert sender.stdin is not None
    assert receiver.stdout is not None
    pipe = sender.stdin.fileno()
    os.write(pipe, b"first\n")
    assert os.read(receiver.stdout.fileno(), 6) == b"first\n"
    receiver.stdout.close()
    receiver.stdout = None
    with pytest.raises(BrokenPipeError):
        offer_lines(pipe)
    sent, received = end(sender), end(receiver)
    assert (sent.code, received.code, received.err) == (Cause.LEFT.code, 128 + signal.SIGPIPE, "")
    assert "the other side has ended first: cannot write standard output: Broken pipe" in sent.err


def test_an_output_that_is_full_is_an_error(place: Place) -> None:
    receiver = place.recv(place.uri, "--listen", "-o", "/dev/full")
    sent = end(place.send(place.uri), LINES)
    assert sent.code in (0, Cause.LEFT.code)  # whether it had sent everything before
    received = end(receiver)
    assert received.code == Cause.DATA.code
    assert re.search(
        r"cannot write /dev/full: No space left on device; 0 lines written, \d+ taken and not", received.err
    )


@pytest.mark.parametrize(
    ("hit", "listens", "signum"),
    [
        ("send", "send", signal.SIGINT),
        ("send", "recv", signal.SIGTERM),
        ("recv", "send", signal.SIGINT),
        ("recv", "recv", signal.SIGHUP),
    ],
)
def test_a_signal_ends_one_side_in_good_order_and_the_other_is_told(
    place: Place, hit: str, listens: str, signum: signal.Signals
) -> None:
    receiver = place.recv(place.uri, *["--listen"] * (listens == "recv"))
    sender = place.send(place.uri, *["--listen"] * (listens == "send"))
    assert sender.stdin is not None
    assert receiver.stdout is not None
    sender.stdin.write(b"one\n")
    sender.stdin.flush()
    assert os.read(receiver.stdout.fileno(), 4) == b"one\n"
    one, other = (sender, receiver) if hit == "send" else (receiver, sender)
    one.send_signal(signum)
    one.wait(PATIENCE_SECONDS)  # with its input still open
    ended = end(one)
    assert (ended.code, f"ended by {signum.name}; " in ended.err) == (128 + signum, True)
    if hit == "send":
        told = end(other)
        assert (told.code, f"everything: the sender was ended by {signum.name}" in told.err) == (Cause.DATA.code, True)
    elif listens == "recv":
        told = end(other, b"two\n")
        assert (told.code, f"first: the receiver was ended by {signum.name}" in told.err) == (Cause.LEFT.code, True)
    else:  # the sender waits for another receiver
        receiver = place.recv(place.uri)
        assert end(other, b"two\n").code == 0
        assert end(receiver).out == b"two\n"


def test_a_sender_that_is_killed_is_a_loss_to_the_receiver(place: Place) -> None:
    receiver, sender = place.recv(place.uri, "--listen", "--json"), place.send(place.uri)
    assert sender.stdin is not None
    assert receiver.stdout is not None
    sender.stdin.write(b"one\n")
    sender.stdin.flush()
    assert os.read(receiver.stdout.fileno(), 4) == b"one\n"
    sender.kill()
    received = end(receiver)
    report = json.loads(received.err)
    assert (received.code, report["cause"], report["elements"]) == (Cause.LOST.code, "lost", 1)


def test_a_receiver_that_is_killed_leaves_elements_in_doubt_and_they_are_counted(place: Place) -> None:
    """What a stopped receiver was sent it never confirms; the others get the rest."""
    sender = place.send(place.uri, "--listen", "--json")
    stopped = place.recv(place.uri)
    assert sender.stdin is not None
    assert stopped.stdout is not None
    sender.stdin.write(b"one\n")
    sender.stdin.flush()
    assert os.read(stopped.stdout.fileno(), 4) == b"one\n"
    until_at_rest(stopped)  # it has asked for the next one
    stopped.send_signal(signal.SIGSTOP)
    sender.stdin.write(b"two\nthree\n")
    sender.stdin.flush()
    other = place.recv(place.uri)
    assert other.stdout is not None
    assert os.read(other.stdout.fileno(), 6) == b"three\n"
    stopped.kill()
    ended = end(sender, b"four\n")
    report = json.loads(ended.out)
    assert (ended.code, report["cause"], report["in_doubt"], report["elements"]) == (Cause.LOST.code, "lost", 1, 3)
    assert end(other).out == b"four\n"


def test_a_receiver_that_is_killed_while_it_listens_is_a_loss_that_is_counted(place: Place) -> None:
    receiver = place.recv(place.uri, "--listen", "--capacity", "0")
    sender = place.send(place.uri, "--json", pipesize=1)  # a page, which can be written to only when it is empty
    assert sender.stdin is not None
    assert receiver.stdout is not None
    sender.stdin.write(b"one\n")
    sender.stdin.flush()
    assert os.read(receiver.stdout.fileno(), 4) == b"one\n"
    receiver.send_signal(signal.SIGSTOP)
    sender.stdin.write(b"two\n")
    sender.stdin.flush()
    until(sender.stdin.fileno(), select.POLLOUT)
    receiver.kill()
    ended = end(sender)
    report = json.loads(ended.out)
    assert (ended.code, report["cause"], report["elements"]) == (Cause.LOST.code, "lost", 1)
    assert report["in_doubt"] <= 1
    (place.folder / "s").unlink()  # nobody else can, after SIGKILL


def unread(pipe: int) -> int:
    """Bytes that lie in a pipe, seen from either end."""
    (count,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))
    return int(count)


# -- what cannot begin


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["send", "URI", "--wait", "0"], Cause.REFUSED.code, "nobody can be reached at"),
        (["recv", "URI", "--wait", "0"], Cause.REFUSED.code, "nobody can be reached at"),
        (["send", "nowhere"], 2, "an address is a text like"),
        (["recv", "pigeon:x"], 2, "no installed plugin serves 'pigeon:'"),
        (["send", "URI", "no-such-file"], 2, "cannot read no-such-file: No such file or directory"),
        (["send", "URI", "--listen", "--leave-open"], 2, "--leave-open is for a sender that dials"),
        (["send", "URI", "--receivers", "2"], 2, "--receivers is for a sender that listens"),
        (["send", "URI", "--frames", "--bytes"], 2, "not allowed with"),
        (["recv", "URI", "--capacity", "-1"], 2, "from 0 to 65536"),
        (["recv", "URI", "--wait", "long"], 2, "'long' is no number"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_begin_says_why(place: Place, args: list[str], code: int, says: str) -> None:
    ended = end(place.start(args[0], *[place.uri if arg == "URI" else arg for arg in args[1:]]))
    assert (ended.code, ended.out) == (code, b"")
    assert says in ended.err


def test_a_folder_is_no_input(place: Place) -> None:
    receiver = place.recv(place.uri, "--listen")
    sent = end(place.send(place.uri, "."))
    assert (sent.code, "cannot read .: Is a directory" in sent.err) == (Cause.DATA.code, True)
    assert end(receiver).code == Cause.DATA.code


@pytest.mark.parametrize(("command", "fd"), [("send", 0), ("recv", 1)])
def test_a_closed_stream_is_an_error(place: Place, command: str, fd: int) -> None:
    """A number that is free would be given to the next file that is opened."""
    line = f"exec {sys.executable} -m kcoro_core {command} {place.uri} --listen {fd}>&-"
    ended = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert ended.returncode == 2
    assert "is closed" in ended.stderr


def test_an_address_that_is_taken_is_refused(place: Place) -> None:
    first = place.recv(place.uri, "--listen")
    assert end(place.recv(place.uri)).code == Cause.REFUSED.code  # who dials waits until somebody listens
    assert end(place.recv(place.uri, "--listen")).code == Cause.REFUSED.code
    assert end(place.send(place.uri), b"").code == 0
    assert end(first).code == 0


def test_nobody_takes_from_a_receiver_that_listens(place: Place) -> None:
    """Whoever comes may send and close."""
    receiver = place.recv(place.uri, "--listen")
    assert end(place.recv(place.uri)).code == Cause.REFUSED.code
    assert end(place.send(place.uri), b"x").code == 0
    assert end(receiver).out == b"x\n"


# -- what is seen


@pytest.mark.parametrize("listens", ["send", "recv"])
def test_json_says_everything(place: Place, listens: str) -> None:
    receiver = place.recv(place.uri, "--json", *["--listen"] * (listens == "recv"))
    sent = end(place.send(place.uri, "--json", *["--listen"] * (listens == "send")), b"one\nthree\n")
    received = end(receiver)
    for text, command in ((sent.out, "send"), (received.err, "recv")):
        report = json.loads(text)
        assert report.pop("seconds") > 0
        assert report == {
            "command": command, "uri": place.uri, "channel": "stream", "cause": "done", "code": 0, "elements": 2,
            "bytes": 8, "in_doubt": 0, "left_over": 0, "error": None,
        }  # fmt: skip
    assert received.out == b"one\nthree\n"


@pytest.mark.parametrize("command", ["send", "recv"])
def test_on_a_terminal_the_progress_is_shown_and_taken_away(place: Place, command: str) -> None:
    """On stderr; in a pipe nothing is said of a good end, as the other tests see."""
    ours, theirs = os.openpty()
    other = place.send(place.uri) if command == "recv" else place.recv(place.uri, "--listen")
    process = subprocess.Popen(
        [sys.executable, "-m", "kcoro_core", command, place.uri, *["--listen"] * (command == "recv")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=theirs, env=place.environment(),
    )  # fmt: skip
    (other if command == "recv" else process).communicate(LINES, timeout=PATIENCE_SECONDS)
    if command == "recv":
        process.communicate(timeout=PATIENCE_SECONDS)
    else:
        assert end(other).out == LINES
    os.close(theirs)
    drawn = os.read(ours, 65536).decode()
    os.close(ours)
    assert process.returncode == 0
    assert {"send": "sending", "recv": "receiving"}[command] in drawn
    last = drawn.rstrip().splitlines()[-1]
    assert re.search(rf"kcoro {command}: 0\.0 MB in \d+\.\d s; 500 lines", last)


# -- what is said


@pytest.mark.parametrize("command", [send, recv], ids=["send", "recv"])
def test_the_help_has_every_exit_code_and_an_example_that_works(
    place: Place, command: object, capsys: pytest.CaptureFixture[str]
) -> None:
    name = str(command.__name__).rpartition(".")[2]
    with pytest.raises(SystemExit):
        build_parser().parse_args([name, "--help"])
    said = capsys.readouterr().out
    assert [cause for cause in Cause if f"{cause.code}" not in said or cause.meaning not in said] == []
    example = command.EXAMPLE.strip()
    assert example.splitlines()[0] in said
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    ended = subprocess.run(
        ["bash", "-e", "-c", example], cwd=place.folder, capture_output=True, timeout=PATIENCE_SECONDS,
        env=place.environment(HOME=str(place.folder), PATH=path),
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, b"")
    hosts = Path("/etc/hosts").read_bytes()
    if name == "recv":
        assert ended.stdout == hosts
        assert (place.folder / "copy").read_bytes() == Path("/bin/ls").read_bytes()
    else:
        assert (place.folder / "copy.txt").read_bytes() == hosts
        shares = [(place.folder / file).read_text().split() for file in ("odd", "even")]
        assert sorted(int(line) for share in shares for line in share) == list(range(1, 1001))


def test_the_manual_has_every_exit_code() -> None:
    rows = re.findall(r"^\| (\d+)\+? \| (.+) \|$", MANUAL.read_text(), re.MULTILINE)
    assert rows == [(str(cause.code), cause.meaning) for cause in Cause]
