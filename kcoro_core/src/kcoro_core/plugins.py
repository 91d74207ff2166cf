# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The plugins of this process: which engine, transport, host or resolver a name stands for, and what became of each.

Plugins are loaded when the first of these functions is called, once, and never by ``import kcoro_core``. One that
cannot be used is kept as a report; its error is raised when somebody asks for what it would have served.

Rule 1: an engine is accepted only when all of its parts come from one distribution and are of our ENGINE_API.
Rule 2: a scheme or engine that two distributions claim belongs to neither, until one of them is blocked.
Rule 3: every refusal names the distribution, the reason and what to type next.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import pluggy
from attrs import define, evolve, field, frozen

from .config import settings
from .engine import ENGINE_API, CoroutineFactory, Engine
from .errors import KcoroError, NotSupported, PluginError
from .hookspecs import HostFactory
from .plugin_loading import Incompatible, Plugin, PluginReport, Policy, canonical, check_api, load_plugins
from .resolvers.protocol import Resolver
from .transport import Vtable

__all__ = [
    "EngineChoice",
    "PluginReport",
    "can_switch",
    "choice",
    "coroutine",
    "engine",
    "host",
    "reports",
    "reset",
    "resolver",
    "switchers",
    "transport",
    "watch_switchers",
]

ENGINE_HOOKS: Final = ("kcoro_channel", "kcoro_select", "kcoro_scheduler")
"""The parts that every engine has."""
OPTIONAL_HOOKS: Final = ("kcoro_coroutine",)
"""The parts that an engine may have as well."""
PACKAGES: Final = {
    "uds": "kcoro-transport-uds",
    "tcp": "kcoro-transport-tcp",
    "tls": "kcoro-transport-tcp",
    "quic": "kcoro-transport-quic",
}
"""Where the schemes of this project live, so that a missing package can be named."""
NATIVE_PACKAGE: Final = "kcoro-native"
"""Where the engine and the host named ``native`` live."""
WELL_KNOWN_ENGINES: Final = ("reference", "native")
WELL_KNOWN_HOSTS: Final = ("trio", "script", "native", "asyncio")
WELL_KNOWN_RESOLVERS: Final = ("system", "file", "dns")
ASKED_FOR: Final = {
    "kcoro_channel": ("engine", WELL_KNOWN_ENGINES),
    "kcoro_host": ("name", WELL_KNOWN_HOSTS),
    "kcoro_resolver": ("name", WELL_KNOWN_RESOLVERS),
}
"""What the argument of a hook is called, and which values of it everybody could mean."""


@define(eq=False)
class _Registry:
    """Everything that was loaded, and the engines that have been accepted so far."""

    plugins: list[Plugin]
    engines: dict[str, Engine] = field(factory=dict)

    def with_hook(self, hook: str) -> Iterator[tuple[Plugin, pluggy.HookRelay]]:
        """The loaded plugins that implement ``hook``."""
        for plugin in self.plugins:
            if plugin.hooks is not None and plugin.implements(hook):
                yield plugin, plugin.hooks


@frozen
class EngineChoice:
    """Which engine channels are made with unless a name is given, and why."""

    asked: str
    name: str
    why: str


# ---------------------------------------------------------------------------------------------------------------------
# Loading, once
# ---------------------------------------------------------------------------------------------------------------------

_lock = threading.RLock()
_registry: _Registry | None = None
_loading = False


def _loaded() -> _Registry:
    """The registry; loads every plugin at the first call."""
    global _registry, _loading  # noqa: PLW0603 - one registry for each process
    registry = _registry
    if registry is not None:
        return registry
    with _lock:
        if _registry is not None:
            return _registry
        if _loading:
            # Only the thread that loads can get here: a plugin that makes a channel at import would otherwise
            # load the plugins, itself among them, without end.
            raise PluginError("a plugin must not use channels, transports or hosts while it is being imported")
        _loading = True
        try:
            _registry = _Registry(load_plugins(Policy.from_environment()))
        finally:
            _loading = False
        return _registry


def reset() -> None:
    """Forget every plugin, so that the next use loads them again; for tests. What is in use keeps working."""
    global _registry  # noqa: PLW0603
    with _lock:
        _registry = None


# ---------------------------------------------------------------------------------------------------------------------
# Transports
# ---------------------------------------------------------------------------------------------------------------------


def transport(uri: str) -> Vtable:
    """Give the functions of the transport that serves ``uri``, an address or a bare scheme.

    :raises ValueError: ``uri`` does not begin with a scheme.
    :raises NotSupported: no plugin serves it; the message names the package to install, or who has blocked it.
    :raises PluginError: the plugin that would serve it is broken or too old, or two plugins claim it.
    """
    scheme = uri.partition(":")[0]
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        raise ValueError(f"{uri!r} has no scheme in front; an address looks like uds:/run/me/jobs.sock or mem:jobs")
    registry = _loaded()
    serving = [plugin for plugin in registry.plugins if plugin.vtable is not None and scheme in plugin.report.schemes]
    if len(serving) > 1:
        raise _contested(f"scheme {scheme + ':'!r}", [plugin.report for plugin in serving])
    if serving:
        assert serving[0].vtable is not None
        return serving[0].vtable
    raise _no_transport(registry, scheme)


def _no_transport(registry: _Registry, scheme: str) -> KcoroError:
    """Why nobody serves a scheme: refused, blocked, or not installed."""
    package = PACKAGES.get(scheme)
    for plugin in registry.plugins:
        report = plugin.report
        names = {report.name, *report.schemes}
        if scheme in names or canonical(report.distribution) == package:
            return _unusable(plugin, f"{scheme}:")
    served = sorted({f"{s}:" for p in registry.plugins if p.vtable for s in p.report.schemes})
    text = f"no installed plugin serves {scheme + ':'!r} (served: {', '.join(served) or 'nothing'})"
    if package is not None:
        return NotSupported(f"{text}. Run: pip install kcoro-core {package}")
    remedy = "Install the package that brings it: pip install kcoro-core kcoro-transport-NAME"
    return NotSupported(f"{text}. {remedy}{_suspects(registry)}")


# ---------------------------------------------------------------------------------------------------------------------
# Engines
# ---------------------------------------------------------------------------------------------------------------------


def engine(name: str | None = None) -> Engine:
    """Give an engine by name, or (None) the one that ``KCORO_ENGINE`` and the configuration choose.

    ``"auto"`` is ``native`` where that can be used, else ``reference``.

    :raises NotSupported: no plugin gives that engine, or it is blocked.
    :raises PluginError: it is broken, incomplete, of another API, or claimed by two distributions.
    """
    registry = _loaded()
    asked = _asked_engine() if name is None else name
    found = registry.engines.get(asked)
    if found is None:
        with _lock:
            found = registry.engines[asked] = _auto(registry) if asked == "auto" else _accept(registry, asked)
    return found


def choice() -> EngineChoice:
    """Say which engine is used by default, and why; raises what ``engine()`` raises."""
    asked = _asked_engine()
    chosen = engine(asked).name
    if asked != "auto":
        return EngineChoice(asked, chosen, "named by KCORO_ENGINE or the configuration")
    if chosen == "native":
        return EngineChoice(asked, chosen, "auto: the native engine can be used")
    return EngineChoice(asked, chosen, f"auto: {_why_not('native')}")


def _asked_engine() -> str:
    return settings().engine


def _auto(registry: _Registry) -> Engine:
    try:
        return _accept(registry, "native")
    except KcoroError:  # not installed, or not usable; doctor tells which
        return _accept(registry, "reference")


def _why_not(name: str) -> str:
    """Why an engine is not used, in short when it simply is not there."""
    if not any(plugin.report.name == name for plugin in _loaded().plugins):
        return f"no {name} engine is installed"
    try:
        engine(name)
    except KcoroError as error:
        return str(error)
    return f"the {name} engine can be used"


def _accept(registry: _Registry, name: str) -> Engine:
    """Ask every engine plugin for its parts, and take them if one distribution gives all of them."""
    asked = (*ENGINE_HOOKS, *OPTIONAL_HOOKS)
    answers = {hook: list(_answers(registry, hook, engine=name)) for hook in asked}
    claims: dict[str, PluginReport] = {}
    for report, _ in (answer for given in answers.values() for answer in given):
        claims.setdefault(report.distribution, report)
    if not claims:
        raise _no_engine(registry, name)
    if len(claims) > 1:
        raise _contested(f"engine {name!r}", list(claims.values()))
    (distribution, report) = claims.popitem()
    parts: list[Any] = [next((part for _, part in answers[hook]), None) for hook in asked]
    for hook, part in zip(asked, parts, strict=True):
        _check_part(report, name, hook, part)
    accepted = Engine(name, distribution, *parts)
    _note_switcher(accepted)
    return accepted


def _check_part(report: PluginReport, name: str, hook: str, part: Any) -> None:
    if part is None and hook in OPTIONAL_HOOKS:
        return
    if part is None:
        raise PluginError(f"{report.origin} gives engine {name!r} without {hook}; an engine has all of its parts")
    check_api(report, "engine", getattr(part, "api", -1), ENGINE_API)
    if getattr(part, "engine", None) != name:
        raise PluginError(f"{report.origin}: {hook}({name!r}) gave a factory that calls itself {part.engine!r}")


def _no_engine(registry: _Registry, name: str) -> KcoroError:
    for plugin in registry.plugins:
        if plugin.report.name == name:
            return _unusable(plugin, f"engine {name!r}")
    advice = f"set KCORO_ENGINE to one of these, or to auto{_native_remedy(name)}"
    return _nobody_gives(registry, "kcoro_channel", "engine", name, advice)


def _native_remedy(name: str) -> str:
    """What to install, if it is the engine or the host of this project that is not there."""
    return f". Or run: pip install kcoro-core {NATIVE_PACKAGE}" if name == "native" else ""


# ---------------------------------------------------------------------------------------------------------------------
# Coroutines
# ---------------------------------------------------------------------------------------------------------------------

# Of every engine that was ever accepted here. Not part of the registry, which may be forgotten: coroutines go on.
_switchers: list[CoroutineFactory] = []
# Who wants to know of another one.
_watching: list[Callable[[list[CoroutineFactory]], None]] = []


def _note_switcher(accepted: Engine) -> None:
    if accepted.coroutine is not None and accepted.coroutine not in _switchers:
        _switchers.append(accepted.coroutine)
        for tell in _watching:
            tell(_switchers)


def watch_switchers(tell: Callable[[list[CoroutineFactory]], None]) -> None:
    """Have ``tell`` called with what ``switchers`` gives whenever that grows, before the new one makes a coroutine."""
    _watching.append(tell)


def switchers() -> list[CoroutineFactory]:
    """The factories of coroutines that can have made one in this process."""
    return _switchers


def coroutine() -> CoroutineFactory:
    """Give the factory of coroutines of the engine that is used by default.

    Where ``auto`` has chosen an engine that cannot switch stacks here, it is that of the reference engine.

    :raises NotSupported: the engine was named, and has no coroutines; the message says what to name instead.
    :raises PluginError: as ``engine``.
    """
    chosen = engine()
    if can_switch(chosen):
        assert chosen.coroutine is not None
        return chosen.coroutine
    if _asked_engine() == "auto":
        chosen = engine("reference")
    if chosen.coroutine is None:
        raise NotSupported(f"engine {chosen.name!r} has no coroutines; set KCORO_ENGINE to reference, or to auto")
    return chosen.coroutine


def can_switch(chosen: Engine) -> bool:
    """Whether an engine has coroutines that work on this machine and Python."""
    return chosen.coroutine is not None and chosen.coroutine.switcher != "none"


# ---------------------------------------------------------------------------------------------------------------------
# Hosts
# ---------------------------------------------------------------------------------------------------------------------


def host(name: str) -> HostFactory:
    """Give the factory of a host by name.

    :raises NotSupported: no plugin gives that host.
    :raises PluginError: two distributions claim it, or the one that does is broken.
    """
    chosen: HostFactory = _given("kcoro_host", "host", name, _native_remedy(name))
    return chosen


def _given(hook: str, what: str, name: str, remedy: str) -> Any:
    """What one plugin gives under that name; ``remedy`` goes behind the names that there are."""
    registry = _loaded()
    found = list(_answers(registry, hook, name=name))
    if len(found) > 1:
        raise _contested(f"{what} {name!r}", [report for report, _ in found])
    if found:
        return found[0][1]
    for plugin in registry.plugins:
        if plugin.report.name == name and plugin.report.state != "loaded":
            raise _unusable(plugin, f"{what} {name!r}")
    raise _nobody_gives(registry, hook, what, name, f"choose one of these{remedy}")


def _nobody_gives(registry: _Registry, hook: str, what: str, name: str, advice: str) -> NotSupported:
    there = sorted({name for plugin in registry.plugins for name in _served(registry, plugin, hook)})
    text = f"no installed plugin gives {what} {name!r} (there: {', '.join(there) or 'none'}); {advice}"
    return NotSupported(f"{text}{_suspects(registry)}")


# ---------------------------------------------------------------------------------------------------------------------
# Resolvers
# ---------------------------------------------------------------------------------------------------------------------


def resolver(name: str) -> Resolver:
    """Give the resolver called ``name``, with the settings of now.

    :raises NotSupported: no plugin gives it.
    :raises PluginError: two distributions claim it, or the one that does is broken, or refuses its settings.
    """
    remedy = ". Or run: pip install 'kcoro-core[dns]'" if name == "dns" else ""
    chosen: Resolver = _given("kcoro_resolver", "resolver", name, f" (KCORO_RESOLVER){remedy}")
    return chosen


# ---------------------------------------------------------------------------------------------------------------------
# Reports
# ---------------------------------------------------------------------------------------------------------------------


def reports() -> list[PluginReport]:
    """What became of every plugin that is installed, in the order of their distributions.

    Asks each for its engines and hosts, which may import a host's loop; a plugin that fails then is reported as failed.
    """
    registry = _loaded()
    return [_completed(registry, plugin) for plugin in registry.plugins]


def _completed(registry: _Registry, plugin: Plugin) -> PluginReport:
    report = plugin.report
    if plugin.hooks is None:
        return report
    try:
        report = evolve(report, hosts=tuple(_offers(registry, plugin, "kcoro_host")))
        report = evolve(report, resolvers=tuple(_offers(registry, plugin, "kcoro_resolver")))
        engines = tuple(_offers(registry, plugin, "kcoro_channel"))
        report = evolve(report, engines=engines, api=ENGINE_API if engines else report.api)
        for name in engines:
            for hook in (*ENGINE_HOOKS, *OPTIONAL_HOOKS):
                if plugin.implements(hook):
                    _check_part(report, name, hook, getattr(plugin.hooks, hook)(engine=name))
    except Incompatible as error:
        return evolve(report, state="incompatible", error=Exception.__str__(error), api=None)
    except KcoroError as error:
        return evolve(report, state="failed", error=Exception.__str__(error))
    return report


def _served(registry: _Registry, plugin: Plugin, hook: str) -> list[str]:
    """The engines, hosts or resolvers of one plugin among the names that anybody could mean; none when it fails."""
    try:
        return _offers(registry, plugin, hook)
    except PluginError:
        return []


def _offers(registry: _Registry, plugin: Plugin, hook: str) -> list[str]:
    hooks = plugin.hooks
    if hooks is None or not plugin.implements(hook):
        return []
    key, well_known = ASKED_FOR[hook]
    names = sorted({*well_known, *(other.report.name for other in registry.plugins)})
    return [name for name in names if _ask(plugin, hooks, hook, **{key: name}) is not None]


def _answers(registry: _Registry, hook: str, **question: str) -> Iterator[tuple[PluginReport, Any]]:
    """What the plugins answer that say "mine"; a broken one spoils the question only when nobody else answers."""
    failure: PluginError | None = None
    answered = False
    for plugin, hooks in registry.with_hook(hook):
        try:
            answer = _ask(plugin, hooks, hook, **question)
        except PluginError as error:
            failure = failure or error
            continue
        if answer is not None:
            answered = True
            yield plugin.report, answer
    if failure is not None and not answered:
        raise failure


def _ask(plugin: Plugin, hooks: pluggy.HookRelay, hook: str, **question: str) -> Any:
    """Call one hook of one plugin; whatever it raises becomes a PluginError that names it."""
    try:
        return getattr(hooks, hook)(**question)
    except Exception as error:
        asked = ", ".join(f"{key}={value!r}" for key, value in question.items())
        raise PluginError(
            f"{plugin.report.origin}: {hook}({asked}) raised {type(error).__name__}: {error}. "
            f"Upgrade or mend it, or block it with KCORO_PLUGINS=-{plugin.report.name}"
        ) from error


def _unusable(plugin: Plugin, what: str) -> KcoroError:
    """The error for something that a known plugin would have served."""
    report = plugin.report
    if report.state == "blocked":
        return NotSupported(f"{what} would be served by {report.origin}, which is {report.error}")
    if report.state == "loaded":
        return NotSupported(f"{report.origin} is loaded and does not serve {what}")
    error = Incompatible(report.error) if report.state == "incompatible" else PluginError(report.error)
    if not isinstance(plugin.cause, PluginError):
        error.__cause__ = plugin.cause
    return error


def _contested(what: str, claimants: list[PluginReport]) -> PluginError:
    listed = " and ".join(report.origin for report in claimants)
    remedy = " or ".join(f"KCORO_PLUGINS=-{canonical(report.distribution)}" for report in claimants)
    return PluginError(f"{what} is claimed by {listed}; uninstall one of them, or block one: {remedy}")


def _suspects(registry: _Registry) -> str:
    """A hint at plugins that did not load and may be the ones that were meant."""
    names = [plugin.report.name for plugin in registry.plugins if plugin.report.state in ("failed", "incompatible")]
    return f"; not usable, see `kcoro plugins`: {', '.join(names)}" if names else ""
