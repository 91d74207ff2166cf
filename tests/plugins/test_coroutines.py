# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Which engine's coroutines a program gets, and what it is told where there are none. Rows: C1, H1."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve

from kcoro_core import Coroutine, NotSupported, PluginError, WrongState, plugins
from kcoro_core.cli import doctor
from kcoro_core.engine import ENGINE_API
from kcoro_core.hosts.strands import StrandCoroutine


class Wooden:
    """A factory that has no switcher here."""

    engine = "reference"
    api = ENGINE_API
    switcher = "none"

    def __call__(self, fn: Any, args: Any, name: Any) -> Any:
        raise NotSupported("this processor has no switcher")

    def current(self) -> None:
        return None


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have programs ask for an engine by that name, and get the reference engine with those coroutines."""
    reference = plugins.engine("reference")

    def put(asked: str, coroutine: Any) -> None:
        changed = evolve(reference, coroutine=coroutine)
        monkeypatch.setattr(plugins, "_asked_engine", lambda: asked)
        monkeypatch.setattr(plugins, "engine", lambda name=None: reference if name == "reference" else changed)

    return put


def test_a_program_gets_the_coroutines_of_its_engine(use: Any) -> None:
    """Row: C1."""
    use("reference", plugins.engine("reference").coroutine)
    co = Coroutine(len, "abc")
    assert isinstance(co, StrandCoroutine)
    assert isinstance(co, Coroutine)
    assert co.resume() == 3


@pytest.mark.parametrize("coroutine", [None, Wooden()])
def test_under_auto_an_engine_without_a_switcher_leaves_coroutines_to_the_reference(use: Any, coroutine: Any) -> None:
    """Row: C1."""
    use("auto", coroutine)
    assert Coroutine(len, "abc").resume() == 3
    assert doctor.examine()["coroutines"]["engine"] == "reference"


def test_an_engine_that_was_named_and_has_none_says_what_to_name_instead(use: Any) -> None:
    """Row: C1."""
    use("wooden", None)
    with pytest.raises(NotSupported, match="has no coroutines; set KCORO_ENGINE to reference, or to auto"):
        Coroutine(len, "abc")
    use("wooden", Wooden())
    with pytest.raises(NotSupported, match="this processor has no switcher"):
        Coroutine(len, "abc")


def test_doctor_says_how_stacks_are_switched(use: Any) -> None:
    """Row: X6."""
    use("reference", plugins.engine("reference").coroutine)
    found = doctor.examine()
    assert found["coroutines"] == {"engine": "reference", "switcher": "threads", "why": "an OS thread for each stack"}
    assert ("coroutines", "reference: threads (an OS thread for each stack)") in list(doctor._lines(found))
    use("wooden", None)
    assert "has no coroutines" in doctor.examine()["coroutines"]["why"]


def test_a_factory_of_another_api_or_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row: H1."""
    [report] = [report for report in plugins.reports() if report.name == "reference"]
    for wrong, words in (
        (SimpleNamespace(engine="reference", api=99), "99"),
        (SimpleNamespace(engine="x", api=1), "x"),
    ):
        with pytest.raises(PluginError, match=words):
            plugins._check_part(report, "reference", "kcoro_coroutine", wrong)
    plugins._check_part(report, "reference", "kcoro_coroutine", None)


class Beside:
    """A factory of another engine, whose coroutine runs in the thread of one of ours."""

    engine = "beside"

    def __init__(self) -> None:
        self.running: object = object()

    def current(self) -> object:
        return self.running


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The coroutines of the reference engine, as if no other had been asked for; afterwards it is as it was."""
    there_are = plugins.switchers()
    ours = plugins.engine("reference").coroutine
    monkeypatch.setattr(plugins, "_switchers", [])
    plugins._note_switcher(plugins.engine("reference"))
    yield ours
    for tell in plugins._watching:
        tell(there_are)


def joined_by(other: Any) -> None:
    """Another engine is accepted."""
    plugins._note_switcher(evolve(plugins.engine("reference"), coroutine=other))


def test_while_an_engine_is_alone_its_own_functions_are_called(alone: Any) -> None:
    """So that a yield asks nobody; with another engine each call asks again. Row: C1."""
    verbs = ("current", "yield_", "yield_to", "park")
    assert all(getattr(Coroutine, verb) == getattr(alone, verb) for verb in verbs)
    joined_by(Beside())
    assert not any(getattr(Coroutine, verb) == getattr(alone, verb) for verb in verbs)


@pytest.mark.parametrize(
    "name", ["reference", *(point.name for point in importlib.metadata.entry_points(group="kcoro", name="native"))]
)
def test_arguments_of_moves_may_be_named(name: str) -> None:
    """And no others are taken, by any engine. Row: C1."""
    make: Any = plugins.engine(name).coroutine

    def body() -> Any:
        with pytest.raises(TypeError):
            make.yield_(1, value=2)
        with pytest.raises(TypeError):
            make.yield_(vlaue=2)
        with pytest.raises(TypeError):
            make.yield_to()
        with pytest.raises(TypeError):
            make.yield_to(value=1)
        got = make.yield_(value=1)
        other = make(lambda: make.yield_(got + 1), (), None)
        try:
            make.yield_to(value=None, other=other)
        except KeyError:
            return "thrown"

    co = make(body, (), None)
    with pytest.raises(TypeError):
        co.resume(None, None)
    assert (co.resume(), co.resume(value=2)) == (1, 3)
    with pytest.raises(TypeError):
        co.throw()
    assert co.throw(error=KeyError()) == "thrown"


def test_where_those_of_two_engines_run_a_call_has_to_say_which(alone: Any) -> None:
    """A wrapper's answer, which is the same object, does no harm. Row: C1."""
    other = Beside()
    joined_by(other)

    def body() -> object:
        me = Coroutine.current
        with pytest.raises(WrongState, match="engines beside and reference run in this thread"):
            me()
        other.running = alone.current()
        assert Coroutine.current() is other.running
        other.running = None
        return Coroutine.yield_("ours")

    co = alone(body, (), None)
    assert co.resume() == "ours"
    co.destroy()


def test_a_subclass_of_a_program_is_told_who_makes_coroutines() -> None:
    """Row: C5."""

    class Mine(Coroutine):
        """A program's idea of one."""

    with pytest.raises(TypeError, match="is made by its engine"):
        Mine(len, "abc")
