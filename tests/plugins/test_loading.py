# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What the loader refuses in a plugin, with plugins made up on the spot; real distributions are in the file next door.

Rows: H1, H2, X6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import attrs
import pytest

from kcoro_core import config, plugin_loading, plugins
from kcoro_core.errors import NotSupported, PluginError
from kcoro_core.hookspecs import DatagramHooks, EngineHooks, HostHooks, TransportHooks, hookimpl
from kcoro_core.plugin_loading import Policy
from kcoro_core.transport import Capability
from kcoro_core.transports import mem, sim

HOOKS = [name for name in vars(TransportHooks) if name.startswith("kcoro_")]
DATAGRAM_HOOKS = [name for name in vars(DatagramHooks) if name.startswith("kcoro_")]


class Point:
    """An entry point as importlib.metadata has it, of a distribution that exists only here."""

    def __init__(self, name: str, load: Callable[[], Any], distribution: str | None = None) -> None:
        self.name = name
        self.load = load
        self.dist = SimpleNamespace(name=distribution or f"dist-{name}", version="1.0")


def module(**functions: Any) -> ModuleType:
    made = ModuleType("made_up")
    vars(made).update(functions)
    return made


def sound_transport(scheme: str, **changes: Any) -> ModuleType:
    """The functions of the in-process transport under another scheme, with some of them changed or taken out."""
    info = attrs.evolve(mem.INFO, schemes=(scheme,))
    functions = {name: getattr(mem, name) for name in HOOKS}
    functions["kcoro_transport_info"] = hookimpl(lambda: info)
    return module(**{name: f for name, f in {**functions, **changes}.items() if f is not None})


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Install these plugins and nothing else, for one test."""

    def put(*points: Point) -> None:
        monkeypatch.setattr(plugin_loading, "entry_points", lambda group: list(points))
        plugins.reset()

    for name in ("KCORO_PLUGINS", "KCORO_PLUGIN_AUTOLOAD", "KCORO_PLUGIN_STRICT", "KCORO_ENGINE"):
        monkeypatch.delenv(name, raising=False)
    config.reload()
    yield put
    monkeypatch.undo()
    config.reload()
    plugins.reset()


def report_of(name: str) -> plugins.PluginReport:
    [report] = [report for report in plugins.reports() if report.name == name]
    return report


# -- transports


def test_a_sound_transport_is_resolved_to_the_functions_of_the_plugin_itself(install: Any) -> None:
    """Row: H2. What a link calls is the plugin's own function, with nothing in between."""
    transport = sound_transport("good")
    install(Point("good", lambda: transport))
    vtable = plugins.transport("good:address")
    for hook in HOOKS:
        if hook != "kcoro_transport_info":
            assert getattr(vtable, hook.removeprefix("kcoro_")) is getattr(transport, hook)
    assert vtable.distribution == "dist-good"
    assert report_of("good").state == "loaded"


def test_two_transports_live_side_by_side_and_the_scheme_chooses(install: Any) -> None:
    """Row: T1."""
    install(Point("a", lambda: sound_transport("a")), Point("b", lambda: sound_transport("b")))
    assert plugins.transport("a:x").distribution == "dist-a"
    assert plugins.transport("b:x").distribution == "dist-b"


@hookimpl
def kcoro_send_frame_in_another_order(conn: Any, parts: Any, header: Any, lane: Any) -> bool:
    return True


@hookimpl
def kcoro_send_frame_without_lane(conn: Any, header: Any, parts: Any) -> bool:
    return True


@hookimpl(wrapper=True)
def kcoro_send_frame_as_wrapper(conn: Any, header: Any, parts: Any, lane: Any) -> Any:
    return (yield)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_transport_without_one_of_the_hooks_is_refused_by_its_name(install: Any, hook: str) -> None:
    """Row: H2."""
    install(Point("x", lambda: sound_transport("x", **{hook: None})))
    with pytest.raises(PluginError, match=rf"dist-x 1\.0.*{hook} is missing"):
        plugins.transport("x")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kcoro_send_frame": kcoro_send_frame_in_another_order}, r"\(conn, parts, header, lane\) has to be"),
        ({"kcoro_send_frame": kcoro_send_frame_without_lane}, r"\(conn, header, parts\) has to be"),
        ({"kcoro_send_frame": kcoro_send_frame_as_wrapper}, "is a wrapper"),
        ({"kcoro_send_frame": lambda conn, header, parts, lane: True}, "kcoro_send_frame lacks @hookimpl"),
        ({"kcoro_transport_info": hookimpl(lambda: "uds")}, "returned str and not a TransportInfo"),
        (
            {"kcoro_send_frames": hookimpl(lambda conn: None)},
            "no hook kcoro_send_frames; did you mean kcoro_send_frame",
        ),
    ],
)
def test_a_function_that_does_not_fit_its_hook_is_refused_when_the_plugin_is_loaded(
    install: Any, changes: dict[str, Any], words: str
) -> None:
    """Row: H2."""
    install(Point("x", lambda: sound_transport("x", **changes)))
    with pytest.raises(PluginError, match=words):
        plugins.transport("x")
    assert report_of("x").state == "failed"


@pytest.mark.parametrize("failure", [RuntimeError("no"), ImportError("no"), SystemExit(3), SyntaxError("no")])
def test_whatever_an_import_does_is_kept_until_somebody_asks(install: Any, failure: BaseException) -> None:
    """Row: X6."""

    def load() -> Any:
        raise failure

    install(Point("x", load), Point("good", lambda: sound_transport("good")))
    assert plugins.transport("good")
    with pytest.raises(PluginError, match=type(failure).__name__) as caught:
        plugins.transport("x:y")
    assert caught.value.__cause__ is failure


def test_ctrl_c_while_plugins_are_loaded_is_not_swallowed(install: Any) -> None:
    def load() -> Any:
        raise KeyboardInterrupt

    install(Point("x", load))
    with pytest.raises(KeyboardInterrupt):
        plugins.reports()


def test_a_module_without_hooks_is_no_plugin(install: Any) -> None:
    install(Point("x", lambda: module(kcoro_connect=print)))
    assert "implements no hook" in report_of("x").error


def test_a_plugin_that_uses_plugins_while_it_is_imported_is_refused_and_does_not_recurse(install: Any) -> None:
    install(Point("x", lambda: plugins.transport("x")))
    with pytest.raises(PluginError, match="must not use channels, transports or hosts while it is being imported"):
        plugins.transport("x")


def test_a_scheme_that_nobody_serves_names_the_package_if_it_is_known(install: Any) -> None:
    """Row: T5."""
    install(Point("good", lambda: sound_transport("good")))
    with pytest.raises(NotSupported, match="pip install kcoro-core kcoro-transport-uds"):
        plugins.transport("uds:/run/x")
    with pytest.raises(NotSupported, match=r"no installed plugin serves 'odd:' \(served: good:\)"):
        plugins.transport("odd:x")


@pytest.mark.parametrize("ask", [plugins.engine, plugins.host])
def test_an_engine_or_host_that_is_not_there_names_the_package_if_it_is_known(install: Any, ask: Any) -> None:
    """Row: T5."""
    install()
    with pytest.raises(NotSupported, match="pip install kcoro-core kcoro-native"):
        ask("native")
    with pytest.raises(NotSupported, match="one of these") as odd:
        ask("odd")
    assert "pip install" not in str(odd.value)


@pytest.mark.parametrize("uri", ["", ":x", "/run/x", "Uds:/x", "1a:x", "a b:x"])
def test_an_address_without_a_scheme_is_a_mistake_of_the_caller(install: Any, uri: str) -> None:
    install()
    with pytest.raises(ValueError, match="an address looks like"):
        plugins.transport(uri)


# -- engines


class Part:
    """One of the three parts of an engine that exists in name only."""

    def __init__(self, engine: str, api: int = 1) -> None:
        self.engine = engine
        self.api = api


def engine_plugin(name: str, **parts: Any) -> ModuleType:
    """A plugin that gives the parts ``channel``, ``select`` and ``scheduler``, or those that are named."""

    def hook(part: Any) -> Any:
        return hookimpl(lambda engine: part if engine == name else None)

    given = parts or {"channel": Part(name), "select": Part(name), "scheduler": Part(name)}
    return module(**{f"kcoro_{kind}": hook(part) for kind, part in given.items()})


def test_an_engine_of_one_distribution_is_accepted(install: Any) -> None:
    """Row: H1. Also when the distribution spreads it over several plugins."""
    install(
        Point("mine", lambda: engine_plugin("mine", channel=Part("mine"), select=Part("mine")), "dist"),
        Point("more", lambda: engine_plugin("mine", scheduler=Part("mine")), "dist"),
    )
    engine = plugins.engine("mine")
    assert (engine.name, engine.distribution) == ("mine", "dist")
    assert plugins.engine("mine") is engine


@pytest.mark.parametrize("missing", ["channel", "select", "scheduler"])
def test_an_engine_that_lacks_a_part_is_refused_by_its_name(install: Any, missing: str) -> None:
    """Row: H1."""
    parts = {kind: Part("mine") for kind in ("channel", "select", "scheduler") if kind != missing}
    install(Point("mine", lambda: engine_plugin("mine", **parts)))
    with pytest.raises(PluginError, match=rf"dist-mine 1\.0.*without kcoro_{missing}"):
        plugins.engine("mine")


def test_an_engine_whose_parts_come_from_two_distributions_is_refused(install: Any) -> None:
    """Row: H1."""
    install(
        Point("mine", lambda: engine_plugin("mine", channel=Part("mine"), select=Part("mine"))),
        Point("more", lambda: engine_plugin("mine", scheduler=Part("mine"))),
    )
    with pytest.raises(PluginError, match=r"claimed by dist-mine 1\.0.*and dist-more 1\.0"):
        plugins.engine("mine")


@pytest.mark.parametrize(("api", "older"), [(0, "dist-mine"), (2, "kcoro-core")])
def test_an_engine_of_another_api_is_refused_with_the_command_that_mends_it(install: Any, api: int, older: str) -> None:
    """Row: X6."""
    parts = {kind: Part("mine", api) for kind in ("channel", "select", "scheduler")}
    install(Point("mine", lambda: engine_plugin("mine", **parts)))
    with pytest.raises(
        plugin_loading.Incompatible, match=rf"{older} is the older.*pip install --upgrade kcoro-core dist-"
    ):
        plugins.engine("mine")
    assert report_of("mine").state == "incompatible"


def test_an_engine_that_answers_under_a_false_name_is_refused(install: Any) -> None:
    install(Point("mine", lambda: engine_plugin("mine", channel=Part("x"), select=Part("x"), scheduler=Part("x"))))
    with pytest.raises(PluginError, match="calls itself 'x'"):
        plugins.engine("mine")


def test_an_engine_hook_that_raises_spoils_only_its_own_engine(install: Any) -> None:
    """Row: X6."""

    def bad(engine: str) -> Any:
        raise RuntimeError("bad hook")

    install(Point("bad", lambda: module(kcoro_channel=hookimpl(bad))), Point("mine", lambda: engine_plugin("mine")))
    assert plugins.engine("mine").name == "mine"
    with pytest.raises(PluginError, match=r"dist-bad 1\.0.*raised RuntimeError: bad hook"):
        plugins.engine("bad")
    assert report_of("bad").state == "failed"
    assert report_of("mine").engines == ("mine",)


def test_an_engine_that_nobody_gives_is_not_supported_and_the_others_are_named(install: Any) -> None:
    install(Point("mine", lambda: engine_plugin("mine")))
    with pytest.raises(NotSupported, match=r"there: mine"):
        plugins.engine("other")


def test_auto_takes_native_where_it_can_be_used_and_the_reference_engine_elsewhere(
    install: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken native engine is no reason not to start, and the choice says why it was not taken."""
    reference = Point("reference", lambda: engine_plugin("reference"))
    install(reference)
    assert plugins.choice() == plugins.EngineChoice("auto", "reference", "auto: no native engine is installed")
    install(reference, Point("native", lambda: engine_plugin("native")))
    assert plugins.choice().name == "native"
    install(reference, Point("native", lambda: engine_plugin("native", channel=Part("native", 7))))
    assert plugins.choice().name == "reference"
    assert "written for engine API 7" in plugins.choice().why
    monkeypatch.setenv("KCORO_ENGINE", "native")
    config.reload()
    with pytest.raises(PluginError):
        plugins.engine()


def test_a_blocked_reference_engine_leaves_no_channels(install: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row: H1. The engine of core has no privilege: without it, channel() says what is missing."""
    import kcoro_core

    monkeypatch.setenv("KCORO_PLUGINS", "-reference")
    install(Point("reference", lambda: engine_plugin("reference"), "kcoro-core"))
    with pytest.raises(NotSupported, match="blocked by KCORO_PLUGINS=-reference"):
        kcoro_core.channel()


# -- hosts


def host_plugin(name: str) -> ModuleType:
    return module(kcoro_host=hookimpl(lambda name, mine=name: SimpleNamespace(name=mine) if name == mine else None))


def test_a_host_is_found_by_name_and_asked_for_each_time(install: Any) -> None:
    install(Point("a", lambda: host_plugin("a")), Point("b", lambda: host_plugin("b")))
    assert plugins.host("b").name == "b"
    assert report_of("a").hosts == ("a",)


def test_a_host_that_nobody_gives_is_not_supported_and_one_given_twice_is_contested(install: Any) -> None:
    install(Point("a", lambda: host_plugin("a")), Point("b", lambda: host_plugin("a")))
    with pytest.raises(NotSupported, match=r"there: a\)"):
        plugins.host("c")
    with pytest.raises(PluginError, match="claimed by"):
        plugins.host("a")


# -- datagrams


def with_datagrams(scheme: str, *, declared: bool = True, without: str = "") -> ModuleType:
    """The simulated transport under another scheme, which carries datagrams."""
    capabilities = sim.INFO.capabilities if declared else sim.INFO.capabilities & ~Capability.DATAGRAMS
    info = attrs.evolve(sim.INFO, schemes=(scheme,), capabilities=capabilities)
    functions = {name: getattr(sim, name) for name in (*HOOKS, *DATAGRAM_HOOKS) if name != without}
    return module(**{**functions, "kcoro_transport_info": hookimpl(lambda: info)})


def test_a_transport_with_datagrams_has_three_functions_more_and_any_other_has_none(install: Any) -> None:
    """What was written before there were any is as good as it was. Rows: H1, H2, T8."""
    able, plain = with_datagrams("able"), sound_transport("plain")
    install(Point("able", lambda: able), Point("plain", lambda: plain))
    for hook in DATAGRAM_HOOKS:
        name = hook.removeprefix("kcoro_")
        assert getattr(plugins.transport("able"), name) is getattr(able, hook)
        assert getattr(plugins.transport("plain"), name) is None
    assert "DATAGRAMS" in report_of("able").capabilities


@pytest.mark.parametrize("hook", DATAGRAM_HOOKS)
def test_a_transport_that_declares_datagrams_has_all_three(install: Any, hook: str) -> None:
    """The missing one is named. Rows: H1, T8."""
    install(Point("half", lambda: with_datagrams("half", without=hook)))
    assert f"declares DATAGRAMS implements {hook}, too" in report_of("half").error


def test_a_transport_that_has_them_and_does_not_say_so_is_refused(install: Any) -> None:
    """Nobody would ever call them. Rows: H1, T8."""
    install(Point("shy", lambda: with_datagrams("shy", declared=False)))
    assert "does not declare DATAGRAMS" in report_of("shy").error


# -- policy and contracts


def test_a_name_without_a_sign_is_refused_because_it_could_mean_either() -> None:
    with pytest.raises(ValueError, match="KCORO_PLUGINS: 'quic' needs a sign"):
        Policy.from_environment({"KCORO_PLUGINS": "quic"})


def test_a_block_beats_a_wish() -> None:
    policy = Policy.from_environment({"KCORO_PLUGINS": "+uds, -uds"})
    assert policy.why_blocked(plugins.PluginReport("uds", "kcoro-transport-uds", "1")) is not None


def test_every_hookspec_is_implemented_by_something_that_is_shipped() -> None:
    """No contract stands without an implementation. Rows: H1, H2."""
    from kcoro_core.hosts import plugin as hosts
    from kcoro_core.reference import plugin as reference

    groups = (EngineHooks, HostHooks, TransportHooks, DatagramHooks)
    specified = {name for specs in groups for name in vars(specs) if name.startswith("kcoro_")}
    shipped = (reference, hosts, mem, sim)
    implemented = {name for plugin in shipped for name in dir(plugin) if name.startswith("kcoro_")}
    assert specified == implemented


def test_plugins_are_loaded_once(install: Any) -> None:
    loads: list[str] = []
    install(Point("good", lambda: loads.append("good") or sound_transport("good")))  # type: ignore[func-returns-value]
    plugins.reports()
    plugins.transport("good")
    plugins.reports()
    assert loads == ["good"]
