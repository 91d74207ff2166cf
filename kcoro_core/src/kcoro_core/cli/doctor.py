# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro doctor``: what this installation is, and whether anything in it is broken (rows X6, CF1, CF2).

Exit code 1 when a plugin failed or fits no API, the engine cannot be used, or the configuration has faults.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .. import config, plugins
from ..engine import ENGINE_API
from ..errors import KcoroError
from ..transport import TRANSPORT_API
from ._output import print_json
from .plugins import as_json, serves

SUMMARY = "show what this installation is made of, and what is broken in it"
EXAMPLE = """
kcoro doctor
kcoro doctor --json > doctor.json      # to attach to a report
"""

SWITCHERS = {
    "threads": "an OS thread for each stack",
    "ucontext": "of the C library",
    "none": "it cannot switch stacks here",
}
"""What is to be said of how stacks are switched; others are the names of processors."""
Question = tuple[Callable[[str], object], str]
DEFAULT_HOST = "trio"
DISTRIBUTIONS = ("kcoro-core", "kcoro-native", "pluggy", "attrs", "trio", "rich", "dnspython")


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``kcoro doctor``."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Examine, print, and judge."""
    findings = examine()
    if args.json:
        print_json(findings)
    else:
        _print(findings)
    return 1 if findings["problems"] else 0


def examine() -> dict[str, Any]:
    """Everything that doctor knows, as ``--json`` prints it; ``problems`` is a list of sentences, empty when well."""
    reports = plugins.reports()
    problems = [f"plugin {r.name}: {r.error}" for r in reports if r.state in ("failed", "incompatible")]
    problems += _contested(reports)
    engine = _engine(problems)
    settings = config.settings()
    problems += [str(error) for error in map(_refusal, _resolvers(settings.resolver)) if error is not None]
    problems += [f"{settings.source}: nobody knows the key {key!r}" for key in settings.skipped]
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})",
        "platform": f"{platform.platform()} on {platform.machine()}",
        "versions": {name: _version(name) for name in DISTRIBUTIONS},
        "apis": {"engine": ENGINE_API, "transport": TRANSPORT_API},
        "engine": engine,
        "coroutines": _coroutines(problems),
        "compiled": _compiled(reports),
        "host": {"name": DEFAULT_HOST, "why": "a program runs on it unless run(host=...) names another"},
        "hosts": sorted({host for report in reports for host in report.hosts}),
        "pollers": _pollers(reports, problems),
        "configuration": str(settings.source) if settings.source else None,
        "environment": {key: os.environ[key] for key in sorted(os.environ) if key.startswith("KCORO_")},
        "plugins": [as_json(report) for report in reports],
        "serving": {report.name: serves(report) for report in reports},
        "problems": problems,
    }


def _contested(reports: list[plugins.PluginReport]) -> list[str]:
    """What more than one distribution claims."""
    asked: list[Question] = [
        *((plugins.transport, scheme) for report in reports for scheme in report.schemes),
        *((plugins.engine, name) for report in reports for name in report.engines),
        *((plugins.host, name) for report in reports for name in report.hosts),
        *((plugins.resolver, name) for report in reports for name in report.resolvers),
    ]
    twice = sorted({question for question in asked if asked.count(question) > 1}, key=lambda question: question[1])
    return [str(error) for error in map(_refusal, twice) if error is not None]


def _resolvers(names: str) -> list[Question]:
    """What a look-up would ask for, whoever is installed."""
    return [(plugins.resolver, name.strip()) for name in names.split(",") if name.strip()]


def _refusal(question: Question) -> KcoroError | None:
    ask, name = question
    try:
        ask(name)
    except KcoroError as error:
        return error
    return None


def _engine(problems: list[str]) -> dict[str, str]:
    try:
        choice = plugins.choice()
    except KcoroError as error:
        problems.append(f"engine: {error}")
        return {"name": "none", "why": str(error)}
    return {"name": choice.name, "why": choice.why}


def _coroutines(problems: list[str]) -> dict[str, str]:
    """Whose stacks programs get, and how it gets from one to another."""
    try:
        factory = plugins.coroutine()
    except KcoroError as error:
        if not problems:  # or the engine itself is one, and told already
            return {"engine": "none", "switcher": "none", "why": str(error)}
        return {"engine": "none", "switcher": "none", "why": "there is no engine"}
    return {
        "engine": factory.engine,
        "switcher": factory.switcher,
        "why": SWITCHERS.get(factory.switcher, "its own code"),
    }


def _compiled(reports: list[plugins.PluginReport]) -> dict[str, dict[str, Any]]:
    """What was compiled into the engines that can be used; nothing for those that are Python alone."""
    found = {}
    for name in sorted({name for report in reports if report.state == "loaded" for name in report.engines}):
        try:
            parts = getattr(plugins.engine(name).channel, "compiled", None)
        except KcoroError:
            continue  # a problem of its own, and told as one
        if parts is not None:
            found[name] = dict(parts)
    return found


def _pollers(reports: list[plugins.PluginReport], problems: list[str]) -> dict[str, dict[str, str]]:
    """What a run on each host waits for descriptors with, and why; a host need not tell."""
    found = {}
    for name in sorted({host for report in reports if report.state == "loaded" for host in report.hosts}):
        try:
            told = getattr(plugins.host(name), "poller", None)
            poller, why = told() if told is not None else ("unknown", "the host does not tell")
        except KcoroError:
            continue  # a problem of its own, and told as one
        except Exception as error:  # noqa: BLE001 - whatever it is, no run on this host would begin
            problems.append(f"host {name}: {error!r}")
            continue
        found[name] = {"name": poller, "why": why}
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _print(findings: dict[str, Any]) -> None:
    for heading, text in _lines(findings):
        print(f"{heading:<14}{text}")
    for problem in findings["problems"]:
        print(f"PROBLEM       {problem}")
    if not findings["problems"]:
        print("all is well")


def _lines(findings: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "python", findings["python"]
    yield "platform", findings["platform"]
    yield "versions", ", ".join(f"{name} {v or 'not installed'}" for name, v in findings["versions"].items())
    yield "APIs", ", ".join(f"{name} {number}" for name, number in findings["apis"].items())
    yield "engine", f"{findings['engine']['name']} ({findings['engine']['why']})"
    coroutines = findings["coroutines"]
    yield "coroutines", f"{coroutines['engine']}: {coroutines['switcher']} ({coroutines['why']})"
    for name, parts in findings["compiled"].items():
        yield "compiled", f"{name}: " + ", ".join(f"{key} {_text(part)}" for key, part in parts.items())
    yield "host", f"{findings['host']['name']} ({findings['host']['why']})"
    yield "hosts", ", ".join(findings["hosts"]) or "none"
    for name, poller in findings["pollers"].items():
        yield "poller", f"{name}: {poller['name']} ({poller['why']})"
    yield "configuration", findings["configuration"] or "no file; defaults and environment"
    yield "environment", " ".join(f"{k}={v}" for k, v in findings["environment"].items()) or "no KCORO_ variable is set"
    for report in findings["plugins"]:
        serving = findings["serving"][report["name"]]
        yield "plugin", f"{report['name']} ({report['distribution']} {report['version']}): {report['state']}, {serving}"


def _text(part: object) -> str:
    return " ".join(map(str, part)) if isinstance(part, (list, tuple)) else str(part)
