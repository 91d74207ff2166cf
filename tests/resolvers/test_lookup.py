# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Who is asked for a name, in which thread, and what is done with the answer. Row: X17."""

from __future__ import annotations

import itertools
import select
import socket
import threading
from collections.abc import Callable, Iterable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from kcoro_core import plugin_loading, plugins
from kcoro_core.errors import NotFound, NotSupported, TransportError
from kcoro_core.hookspecs import hookimpl
from kcoro_core.resolvers import plugin as resolvers_of_core
from kcoro_core.resolvers.protocol import Place, Question
from kcoro_core.transports import lookup
from kcoro_core.transports.host_port import TCP, Target, parse
from kcoro_core.transports.lookup import MOST_LOOKUPS, MOST_PLACES, Lookup, Unknown, ask

from .answers import text_of

NAME = parse("tcp:jobs.example:7000")
QUESTION = Question("jobs.example", 7000)
HERE = ("127.0.0.1", 7000)


class Knows:
    """A resolver that answers what it was made with, or raises it."""

    def __init__(self, answer: Iterable[Any] | Exception, name: str = "knows") -> None:
        self.name = name
        self.answer = answer
        self.asked: list[Question] = []

    def resolve(self, question: Question) -> Iterable[Place]:
        self.asked.append(question)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def answer_of(found: Lookup) -> Any:
    """Wait for the answer of a look-up, as a loop would."""
    readable, _, _ = select.select([found.sock], [], [], 10)
    assert readable
    found.sock.close()
    return found.answer


# -- who is asked


def test_resolvers_are_asked_in_order_until_one_knows_the_name() -> None:
    """Row: X17."""
    last = Knows([HERE])
    found = ask(QUESTION, TCP, [Knows([]), Knows(RuntimeError("broken")), Knows([HERE], "third"), last])
    assert found == [Target(socket.AF_INET, HERE)]
    assert last.asked == []


def test_nobody_knows_it_and_each_has_said_why() -> None:
    """Row: X17."""
    said = ask(QUESTION, TCP, [Knows([], "empty"), Knows(RuntimeError("broken"), "other")])
    assert text_of(said) == (
        "empty: it has no address for jobs.example:7000; other: broken; "
        "check the name, and who is asked (KCORO_RESOLVER)"
    )


@pytest.mark.parametrize(
    ("error", "says"),
    [(OSError(2, "No such file"), "[Errno 2] No such file"), (KeyError(), "KeyError"), (NotFound("gone"), "gone;")],
)
def test_whatever_a_resolver_raises_is_told(error: Exception, says: str) -> None:
    """Row: X17."""
    assert f"knows: {says}" in text_of(ask(QUESTION, TCP, [Knows(error)]))


NEVER = TransportError("never", permanent=True)


@pytest.mark.parametrize(
    ("answers", "permanent"),
    [
        ([NEVER], True),
        ([NEVER, NEVER], True),
        ([NEVER, TransportError("later")], False),
        ([NotFound("no"), NEVER], False),
        ([NEVER, []], False),
        ([NEVER, RuntimeError("broken")], False),
    ],
)
def test_a_look_up_has_failed_for_good_when_all_have_said_so(answers: list[Any], permanent: bool) -> None:
    """Row: X17."""
    found = ask(QUESTION, TCP, [Knows(answer) for answer in answers])
    assert isinstance(found, Unknown)
    assert found.permanent is permanent


def test_what_a_resolver_says_is_shown_on_one_line_and_not_without_end() -> None:
    """Row: X17."""
    said = text_of(ask(QUESTION, TCP, [Knows(RuntimeError("\x1b[31m\n" + "long " * 10_000))]))
    assert said.isprintable()
    assert len(said) < 700


def test_a_resolver_that_is_not_there_is_told_at_once(configure: Any) -> None:
    """Row: X17."""
    with pytest.raises(NotSupported, match=r"resolver 'pigeon' \(there: .*system.*KCORO_RESOLVER"):
        Lookup(NAME, TCP, 1.0, "pigeon")
    configure(resolver=" , ")
    with pytest.raises(ValueError, match="KCORO_RESOLVER has to name a resolver"):
        Lookup(NAME, TCP, 1.0)


def test_without_dnspython_there_is_no_dns_and_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row: X17."""
    monkeypatch.setattr(resolvers_of_core.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(NotSupported, match=r"pip install 'kcoro-core\[dns\]'"):
        Lookup(NAME, TCP, 1.0, "dns")


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterable[Callable[..., None]]:
    """Install these resolvers as plugins of other distributions, beside those of core."""

    def put(**made: Any) -> None:
        points = [point("resolvers", resolvers_of_core, "kcoro-core")]
        points += [point(name, module_of(resolver), f"dist-{name}") for name, resolver in made.items()]
        monkeypatch.setattr(plugin_loading, "entry_points", lambda group: points)
        plugins.reset()

    yield put
    monkeypatch.undo()
    plugins.reset()


def point(name: str, module: ModuleType, distribution: str) -> Any:
    return SimpleNamespace(name=name, load=lambda: module, dist=SimpleNamespace(name=distribution, version="1"))


def module_of(resolver: Any) -> ModuleType:
    made = ModuleType("made_up")

    @hookimpl
    def kcoro_resolver(name: str) -> Any:
        return resolver if name == resolver.name else None

    vars(made).update(kcoro_resolver=kcoro_resolver)
    return made


def test_a_third_partys_resolver_is_found_asked_and_reported(install: Any, configure: Any) -> None:
    """Row: X17."""
    theirs = Knows([HERE], "etcd")
    install(etcd=theirs)
    configure(resolver="file,etcd")
    assert answer_of(Lookup(NAME, TCP, 3.0)) == [Target(socket.AF_INET, HERE)]
    assert 0 < theirs.asked[0].seconds <= 3.0
    [report] = [report for report in plugins.reports() if report.name == "etcd"]
    assert report.resolvers == ("etcd",)


def test_a_resolver_that_two_claim_belongs_to_neither(install: Any) -> None:
    """Row: X17."""
    install(one=Knows([HERE], "etcd"), two=Knows([HERE], "etcd"))
    with pytest.raises(plugins.PluginError, match="resolver 'etcd' is claimed by"):
        Lookup(NAME, TCP, 1.0, "etcd")


# -- what an answer may be


@pytest.mark.parametrize(
    "place",
    [
        *(("0.0.0.0", 7), ("::", 7), ("224.0.0.1", 7), ("ff02::1", 7), ("255.255.255.255", 7), ("::ffff:0.0.0.0", 7)),
        *(("10.0.0.1", 0), ("10.0.0.1", -1), ("10.0.0.1", 65536), ("b.example", 7), ("", 7), ("10.0.0.1 ", 7)),
        (None, 7),
    ],
)
def test_what_is_nobodys_address_is_dropped(place: Any) -> None:
    """Row: X17."""
    assert isinstance(ask(QUESTION, TCP, [Knows([place])]), Unknown)
    assert ask(QUESTION, TCP, [Knows([place, HERE])]) == [Target(socket.AF_INET, HERE)]


@pytest.mark.parametrize("answer", [[("10.0.0.1",)], [7], None, [("10.0.0.1", "7")]])
def test_an_answer_of_another_shape_is_that_resolvers_failure(answer: Any) -> None:
    """Row: X17."""
    assert ask(QUESTION, TCP, [Knows(answer), Knows([HERE])]) == [Target(socket.AF_INET, HERE)]


def test_an_answer_without_end_is_read_in_part() -> None:
    """Row: X17."""
    found = ask(QUESTION, TCP, [Knows(itertools.repeat(HERE))])
    assert len(found) == MOST_PLACES


# -- in which thread


def test_no_resolver_is_ever_called_on_the_thread_of_the_loop(install: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a plugin's nor the system's function, which may wait. Row: X17."""
    threads = set()
    real = socket.getaddrinfo

    def watched(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if socket.AI_NUMERICHOST not in args:
            threads.add(threading.current_thread().name)
            raise socket.gaierror(socket.EAI_NONAME, "no")
        return real(host, port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", watched)
    assert "system: jobs.example: no" in text_of(answer_of(Lookup(NAME, TCP, 1.0, "system")))
    assert threads == {"kcoro looks up jobs.example"}


def test_look_ups_at_the_same_time_are_bounded(install: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more fails at once and says so; when they have ended there is room again. Row: X17."""
    go_on = threading.Event()

    class Stuck:
        name = "stuck"

        def resolve(self, _question: Question) -> list[Place]:
            go_on.wait()
            return [HERE]

    install(stuck=Stuck())
    stuck = [Lookup(NAME, TCP, 9.0, "stuck") for _ in range(MOST_LOOKUPS)]
    assert "names are being looked up already; dial again later" in text_of(answer_of(Lookup(NAME, TCP, 1.0, "stuck")))
    go_on.set()
    assert [answer_of(one) for one in stuck] == [[Target(socket.AF_INET, HERE)]] * MOST_LOOKUPS
    assert answer_of(Lookup(NAME, TCP, 1.0, "stuck")) == [Target(socket.AF_INET, HERE)]


def test_a_thread_that_cannot_be_started_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row: X17."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    free = lookup._slots._value
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError):
        Lookup(NAME, TCP, 1.0, "system")
    assert lookup._slots._value == free
