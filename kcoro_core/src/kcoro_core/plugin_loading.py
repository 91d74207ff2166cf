# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Finding, blocking, importing and checking plugins, one at a time: what is wrong with one hurts only itself.

Rule 1: a blocked plugin is not imported.
Rule 2: nothing a plugin does wrong leaves this module as an exception; it becomes the error of its report.
Rule 3: each plugin has a plugin manager of its own, so that a half-registered one is thrown away whole.

What a plugin offers is decided in ``plugins.py``; here it is only found fit or unfit to be asked.
"""

from __future__ import annotations

import difflib
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

import pluggy
from attrs import define, evolve, frozen
from pluggy import HookImpl

from .errors import KcoroError, PluginError
from .hookspecs import PROJECT, DatagramHooks, EngineHooks, HostHooks, ResolverHooks, TransportHooks
from .transport import TRANSPORT_API, Capability, TransportInfo, Vtable

__all__ = ["Incompatible", "Plugin", "PluginReport", "Policy", "canonical", "load_plugins", "upgrade_command"]

State = Literal["loaded", "blocked", "failed", "incompatible"]


@frozen
class PluginReport:
    """What became of one plugin: where it comes from, what it serves, and why it does not if it does not.

    ``state`` is ``loaded``, ``blocked`` (on request, and not imported), ``failed`` (broken; ``error`` says how), or
    ``incompatible`` (written for another API; ``error`` has the command that mends it). ``api`` is None when the plugin
    did not get as far as telling. ``load_seconds`` is the wall-clock time of import and check.
    """

    name: str
    distribution: str
    version: str
    state: State = "loaded"
    schemes: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    resolvers: tuple[str, ...] = ()
    api: int | None = None
    capabilities: tuple[str, ...] = ()
    load_seconds: float = 0.0
    error: str = ""

    @property
    def origin(self) -> str:
        """Distribution, version and entry point, as they stand in messages."""
        return f"{self.distribution} {self.version} (plugin {self.name!r})"


@define(eq=False)
class Plugin:
    """One plugin of this process: its report, and what it may be asked through.

    ``hooks`` is None unless it is loaded; ``vtable`` is None unless it is a transport that is loaded too.
    ``cause`` is the exception behind a failure, kept so that it can be shown when somebody asks for the plugin.
    """

    report: PluginReport
    hooks: pluggy.HookRelay | None = None
    vtable: Vtable | None = None
    cause: BaseException | None = None

    def implements(self, hook: str) -> bool:
        """Whether the plugin is loaded and has a function for that hook."""
        return self.hooks is not None and bool(getattr(self.hooks, hook).get_hookimpls())

    def refuse(self, state: State, error: BaseException) -> None:
        """Take the plugin out of use; its report keeps the reason."""
        self.report = evolve(self.report, state=state, error=_text(error))
        self.hooks = self.vtable = None
        # The wrapping error is built anew for each who asks; what happened inside the plugin is kept.
        self.cause = error.__cause__ or error


class Incompatible(PluginError):
    """The plugin was written for another API than this core speaks; the message has the command that mends it."""

    code = "KC-PLUGIN-API"
    holds = "other plugins are unaffected; upgrade with the command in the message"


# ---------------------------------------------------------------------------------------------------------------------
# Which plugins may be imported
# ---------------------------------------------------------------------------------------------------------------------


def canonical(name: str) -> str:
    """The one spelling of a distribution's name, in which they are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


@frozen
class Policy:
    """Which plugins may be imported, from the environment.

    ``KCORO_PLUGINS=-quic,+uds``: a name behind ``-`` is blocked, one behind ``+`` must be there. A name is that of an
    entry point or of a distribution. ``KCORO_PLUGIN_AUTOLOAD=0`` leaves out every plugin of another distribution
    than core that is not named behind ``+``. ``KCORO_PLUGIN_STRICT=1`` makes the first failure an error at once.
    """

    blocked: frozenset[str] = frozenset()
    wanted: frozenset[str] = frozenset()
    autoload: bool = True
    strict: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Policy:
        """Read the three variables; ValueError when ``KCORO_PLUGINS`` has an entry without a sign."""
        env = os.environ if environ is None else environ
        blocked: set[str] = set()
        wanted: set[str] = set()
        for item in filter(None, (part.strip() for part in env.get("KCORO_PLUGINS", "").split(","))):
            if item[0] not in "+-" or len(item) == 1:
                raise ValueError(f"KCORO_PLUGINS: {item!r} needs a sign and a name, as in KCORO_PLUGINS=-quic,+uds")
            (blocked if item[0] == "-" else wanted).add(canonical(item[1:]))
        return cls(
            frozenset(blocked),
            frozenset(wanted),
            autoload=env.get("KCORO_PLUGIN_AUTOLOAD", "1") != "0",
            strict=env.get("KCORO_PLUGIN_STRICT", "0") not in ("", "0"),
        )

    def why_blocked(self, report: PluginReport) -> str | None:
        """The reason not to import a plugin, or None; a block beats a wish."""
        names = {canonical(report.name), canonical(report.distribution)}
        if names & self.blocked:
            return f"blocked by KCORO_PLUGINS=-{report.name}"
        if self.autoload or names & self.wanted or canonical(report.distribution) == "kcoro-core":
            return None
        return f"left out by KCORO_PLUGIN_AUTOLOAD=0; name it with KCORO_PLUGINS=+{report.name}"


# ---------------------------------------------------------------------------------------------------------------------
# Loading
# ---------------------------------------------------------------------------------------------------------------------


def load_plugins(policy: Policy) -> list[Plugin]:
    """Find every installed plugin and load those that may be; never raises for one that is broken, unless strict."""
    found = sorted(entry_points(group=PROJECT), key=lambda point: (_distribution_of(point)[0], point.name))
    plugins = [_load(point, policy) for point in found]
    plugins += _missing(policy, plugins)
    for plugin in plugins:
        if policy.strict and plugin.cause is not None:
            raise PluginError(f"KCORO_PLUGIN_STRICT is set: {plugin.report.error}") from plugin.cause
    return plugins


def _distribution_of(point: EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else ("unknown", "0")


def _missing(policy: Policy, plugins: list[Plugin]) -> Iterable[Plugin]:
    """A failed plugin for each wish that nothing fulfils, so that a misspelt name is seen."""
    there = {canonical(name) for p in plugins for name in (p.report.name, p.report.distribution)}
    for name in sorted(policy.wanted - there):
        plugin = Plugin(PluginReport(name, "none", "0"))
        plugin.refuse("failed", PluginError(f"KCORO_PLUGINS=+{name}: no such plugin is installed{_meant(name, there)}"))
        yield plugin


def _load(point: EntryPoint, policy: Policy) -> Plugin:
    plugin = Plugin(PluginReport(point.name, *_distribution_of(point)))
    reason = policy.why_blocked(plugin.report)
    if reason is not None:
        plugin.report = evolve(plugin.report, state="blocked", error=reason)
        return plugin
    started = time.perf_counter()
    try:
        _fill(plugin, point)
    except Incompatible as error:
        plugin.refuse("incompatible", error)
    # A plugin may fail in any way, and an exit() at import is one of them; Ctrl-C is not.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        plugin.refuse("failed", error if isinstance(error, PluginError) else _wrapped(plugin, error))
    seconds = time.perf_counter() - started
    plugin.report = evolve(plugin.report, load_seconds=seconds)
    if plugin.vtable is not None:
        plugin.vtable = evolve(plugin.vtable, load_seconds=seconds)
    return plugin


def _fill(plugin: Plugin, point: EntryPoint) -> None:
    module = point.load()
    manager = pluggy.PluginManager(PROJECT)
    for specs in (EngineHooks, HostHooks, ResolverHooks, TransportHooks, DatagramHooks):
        manager.add_hookspecs(specs)
    _check_spelling(plugin, module, manager)
    try:
        manager.register(module, plugin.report.name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise _unfit(plugin, _first_line(error)) from error
    for caller in manager.get_hookcallers(module) or ():
        _check_arguments(plugin, manager, caller.name, caller.get_hookimpls()[0])
    plugin.hooks = manager.hook
    if any(plugin.implements(hook) for hook in (*_hooks_of(TransportHooks), *_hooks_of(DatagramHooks))):
        _fill_transport(plugin, module)
    elif not any(caller.get_hookimpls() for caller in vars(manager.hook).values()):
        raise _unfit(plugin, "it implements no hook; mark its functions with @hookimpl")


def _fill_transport(plugin: Plugin, module: Any) -> None:
    """Take the functions out of a transport plugin, after it was found complete and of our API."""
    missing = [hook for hook in _hooks_of(TransportHooks) if not plugin.implements(hook)]
    if missing:
        unmarked = [hook for hook in missing if hasattr(module, hook)]
        hint = f"; {', '.join(unmarked)} lacks @hookimpl" if unmarked else ""
        raise _unfit(plugin, f"a transport implements every hook, and {', '.join(missing)} is missing{hint}")
    functions = {hook: _function(plugin, hook) for hook in _hooks_of(TransportHooks)}
    info = functions.pop("kcoro_transport_info")()
    if not isinstance(info, TransportInfo):
        raise _unfit(plugin, f"kcoro_transport_info returned {type(info).__name__} and not a TransportInfo")
    names = tuple(flag.name for flag in Capability if flag in info.capabilities and flag.name)
    plugin.report = evolve(plugin.report, schemes=tuple(info.schemes), api=info.api, capabilities=names)
    check_api(plugin.report, "transport", info.api, TRANSPORT_API)
    functions |= _datagram_functions(plugin, info)
    plain: dict[str, Any] = {hook.removeprefix("kcoro_"): function for hook, function in functions.items()}
    plugin.vtable = Vtable(info=info, distribution=plugin.report.distribution, **plain)


def _datagram_functions(plugin: Plugin, info: TransportInfo) -> dict[str, Callable[..., Any]]:
    """The three functions of a transport that carries datagrams, none of any other; it has to say which it is."""
    hooks = _hooks_of(DatagramHooks)
    has = [hook for hook in hooks if plugin.implements(hook)]
    if Capability.DATAGRAMS in info.capabilities:
        if missing := [hook for hook in hooks if hook not in has]:
            raise _unfit(plugin, f"a transport that declares DATAGRAMS implements {', '.join(missing)}, too")
    elif has:
        raise _unfit(plugin, f"it implements {', '.join(has)} and does not declare DATAGRAMS")
    return {hook: _function(plugin, hook) for hook in has}


def _function(plugin: Plugin, hook: str) -> Callable[..., Any]:
    implementation: HookImpl = getattr(plugin.hooks, hook).get_hookimpls()[0]
    return implementation.function


def _hooks_of(specs: type) -> list[str]:
    return [name for name in vars(specs) if name.startswith(f"{PROJECT}_")]


# ---------------------------------------------------------------------------------------------------------------------
# Checks, and what they say
# ---------------------------------------------------------------------------------------------------------------------


def _check_spelling(plugin: Plugin, module: Any, manager: pluggy.PluginManager) -> None:
    """Name the hook that was probably meant; pluggy would only say that it does not know this one."""
    known = list(vars(manager.hook))
    for name in dir(module):
        options = manager.parse_hookimpl_opts(module, name)
        if options is None or options["optionalhook"]:
            continue
        hook = options["specname"] or name
        if hook not in known:
            raise _unfit(plugin, f"there is no hook {hook}{_meant(hook, known)}")


def _check_arguments(plugin: Plugin, manager: pluggy.PluginManager, hook: str, impl: HookImpl) -> None:
    """Functions are called by position later, so that all arguments must be there, in order."""
    spec = getattr(manager.hook, hook).spec
    if spec is not None and tuple(impl.argnames) != tuple(spec.argnames):
        raise _unfit(plugin, f"{hook}({', '.join(impl.argnames)}) has to be {hook}({', '.join(spec.argnames)})")
    if impl.hookwrapper or impl.wrapper:
        raise _unfit(plugin, f"{hook} is a wrapper; hooks of {PROJECT} are resolved to plain functions")


def check_api(report: PluginReport, what: str, theirs: int, ours: int) -> None:
    """Raise Incompatible for another API number, and say which side is older and what to type."""
    if theirs == ours:
        return
    older = report.distribution if theirs < ours else "kcoro-core"
    raise Incompatible(
        f"{report.origin} is written for {what} API {theirs} and this kcoro-core speaks {ours}; "
        f"{older} is the older one. Run: {upgrade_command(report.distribution)}"
    )


def upgrade_command(distribution: str) -> str:
    """What to type to bring a plugin and core to versions that fit; both are named, so that pip solves for both."""
    return f"pip install --upgrade kcoro-core {distribution}"


def _unfit(plugin: Plugin, what: str) -> PluginError:
    return PluginError(f"{plugin.report.origin}: {what}. {_remedy(plugin)}")


def _wrapped(plugin: Plugin, error: BaseException) -> PluginError:
    wrapped = PluginError(
        f"{plugin.report.origin} raised {type(error).__name__} while it was loaded: {error}. {_remedy(plugin)}"
    )
    wrapped.__cause__ = error
    return wrapped


def _remedy(plugin: Plugin) -> str:
    """Upgrading is what users can do; blocking is what always helps."""
    report = plugin.report
    return f"Upgrade or mend it, or block it with KCORO_PLUGINS=-{report.name}"


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _first_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _text(error: BaseException) -> str:
    """The message without the code that ``KcoroError`` adds."""
    return Exception.__str__(error) if isinstance(error, KcoroError) else str(error)
