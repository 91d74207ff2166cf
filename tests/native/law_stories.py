# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Tells what happens to one channel, in the language of law_scripts.py; what each step brings is what the model says
with which the laws themselves compare counters."""

from __future__ import annotations

from typing import Any

from attrs import define, field

from kcoro_core.errors import ChannelClosed
from kcoro_core.testing.laws.model import Model
from kcoro_core.testing.laws.shapes import Shape

__all__ = ["Story"]


@define
class Story:
    """A channel called ``ch``; each method adds a line to ``lines``, and gives the name of the call it begins."""

    made: Shape
    ch: str = "a"
    lines: list[str] = field(factory=list)
    model: Model = field(init=False)
    late: int = 0
    cancelled: int = 0
    count: int = 0
    # Who waits, in the order in which they came; a receiver with the list into which its element comes.
    senders: list[str] = field(factory=list)
    receivers: list[tuple[str, list[Any]]] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.model = Model(self.made)

    def __str__(self) -> str:
        return "\n".join(self.lines)

    # -- calls

    def send(self, value: int, form: str = "") -> str:
        """A send; ``form`` is empty, or ``far``."""
        name, closed = self._name(), self.model.closed
        before = len(self.model.lost)
        if not self.model.send(value):
            self.senders.append(name)
            return self._line(f"{name}: send {self.ch} {value} {form}", [], name)
        return self._line(f"{name}: send {self.ch} {value} {form}", self._ended(name, closed, before), name)

    def recv(self, form: str = "") -> str:
        """A receive; ``form`` is empty, or ``far``."""
        name = self._name()
        into = self.model.recv()
        outcome = [f"{name} closed"] if into is None else [f"{name} got {into[0]}"] if into else []
        if into == []:
            self.receivers.append((name, into))
        return self._line(f"{name}: recv {self.ch} {form}", outcome, name)

    def try_send(self, value: int) -> str:
        """A send that does not wait."""
        name, before = self._name(), len(self.model.lost)
        outcome = self.model.try_send(value)
        if outcome == "done":
            return self._line(f"{name}: send {self.ch} {value} try", self._ended(name, False, before), name)
        why = "closed" if outcome is ChannelClosed else "would block"
        return self._line(f"{name}: send {self.ch} {value} try", [f"{name} {why}"], name)

    def try_recv(self) -> str:
        """A receive that does not wait."""
        name = self._name()
        outcome, value = self.model.try_recv()
        why = f"got {value}" if outcome == "done" else "closed" if outcome is ChannelClosed else "would block"
        return self._line(f"{name}: recv {self.ch} try", [f"{name} {why}"], name)

    def late_recv(self) -> str:
        """A receive that waits until its deadline, where nothing is there."""
        name = self._name()
        self.late += 1
        return self._line(f"{name}: recv {self.ch} late", [f"{name} late"], name)

    def late_send(self, value: int) -> str:
        """A send that waits until its deadline, where there is no room."""
        name = self._name()
        self.late += 1
        return self._line(f"{name}: send {self.ch} {value} late", [f"{name} late"], name)

    def cancelled_call(self, what: str) -> None:
        """``send VALUE`` or ``recv`` by a token that is set already."""
        self._line("trigger t0", [])
        name, (op, *value) = self._name(), what.split()
        self.cancelled += 1
        self._line(" ".join([f"{name}: {op} {self.ch}", *value, "by t0"]), [f"{name} cancelled"])

    # -- what happens to calls and to the channel

    def stop(self, name: str) -> None:
        """Cancel the task of a call that waits."""
        for at, (other, into) in enumerate(self.receivers):
            if other == name:
                del self.receivers[at]
                self.model.receivers = [kept for kept in self.model.receivers if kept is not into]
        if name in self.senders:
            del self.model.senders[self.senders.index(name)]
            self.senders.remove(name)
        self.cancelled += 1
        self._line(f"stop {name}", [f"{name} cancelled"])

    def close(self) -> None:
        """Close the channel."""
        self._end("close", self.model.close)

    def cancel(self) -> None:
        """Close it, and give up what is queued."""
        self._end("cancel", self.model.cancel)

    def release(self) -> None:
        """Give up the last reference."""
        self._line(f"release {self.ch}", [f"lost {self.ch} {value} destroyed" for value in self.model.elements])

    # -- telling

    def _end(self, word: str, do: Any) -> None:
        before, closed = len(self.model.lost), [*self.senders, *(name for name, _ in self.receivers)]
        do()
        self.senders.clear()
        self.receivers.clear()
        lost = [f"lost {self.ch} {value} cancelled" for value in self.model.lost[before:]]
        self._line(f"{word} {self.ch}", [f"{name} closed" for name in closed] + lost)

    def _name(self) -> str:
        self.count += 1
        return f"{self.ch}{self.count}"

    def _ended(self, name: str, closed: bool, before: int) -> list[str]:
        lost = [f"lost {self.ch} {value} {self.model.why.lower()}" for value in self.model.lost[before:]]
        return [f"{name} closed" if closed else f"{name} done", *lost]

    def _served(self) -> list[str]:
        """Who waited until this step."""
        done = self.senders[: len(self.senders) - len(self.model.senders)]
        del self.senders[: len(done)]
        got = [(name, into[0]) for name, into in self.receivers if into]
        self.receivers = [waits for waits in self.receivers if not waits[1]]
        return [f"{name} done" for name in done] + [f"{name} got {value}" for name, value in got]

    def _line(self, acts: str, brought: list[str], name: str = "") -> str:
        counters = self.model.counters() | {"failed_deadline": self.late, "failed_cancelled": self.cancelled}
        books = " ".join(f"{self.ch}.{counter}={value}" for counter, value in counters.items())
        books = "" if acts.startswith("release") else f"; {books}"
        self.lines.append(f"{acts.strip()} -> {', '.join([*brought, *self._served()])}{books}")
        return name
