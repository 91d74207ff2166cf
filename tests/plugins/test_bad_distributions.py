# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Installed plugins that are broken, each in its own way: each hurts only itself, and is told by name.

Rows: H2, T1, X6.
"""

from __future__ import annotations

from typing import Any

import pytest

ASK = """
import json
from kcoro_core import plugins
try:
    plugins.transport({scheme!r})
except Exception as error:
    print(json.dumps([type(error).__name__, str(error), type(error.__cause__).__name__]))
else:
    print(json.dumps(["none", "", ""]))
"""
REPORTS = """
import json, attrs
from kcoro_core import plugins
print(json.dumps({r.distribution + ":" + r.name: attrs.asdict(r) for r in plugins.reports()}))
"""

# plugin, what asking for its scheme raises, and what the message has to tell
BAD = [
    ("broken", "PluginError", ["kcoro-bad-broken 1.0", "RuntimeError", "this plugin cannot even be imported"]),
    ("misspelt", "PluginError", ["kcoro-bad-misspelt 1.0", "no hook kcoro_conect", "did you mean kcoro_connect?"]),
    ("incomplete", "PluginError", ["kcoro-bad-incomplete 1.0", "kcoro_accept, kcoro_poll_handle is missing"]),
    ("signature", "PluginError", ["kcoro-bad-signature 1.0", "kcoro_connect", "address"]),
    (
        "next",
        "Incompatible",
        ["kcoro-bad-api 1.0", "kcoro-core is the older", "pip install --upgrade kcoro-core kcoro-bad-api"],
    ),
]


@pytest.mark.parametrize(("scheme", "error", "words"), BAD, ids=[row[0] for row in BAD])
def test_who_asks_for_a_bad_plugin_learns_whose_it_is_and_what_to_do(
    python: Any, scheme: str, error: str, words: list[str]
) -> None:
    """Row: H2. The remedy is part of the message: an upgrade, or the block that gets it out of the way."""
    kind, text, _ = python(ASK.format(scheme=scheme))
    assert kind == error
    for word in words:
        assert word in text
    assert "KCORO_PLUGINS=-" in text or "pip install" in text


def test_an_import_that_fails_keeps_its_own_error_as_the_cause(python: Any) -> None:
    """Row: X6."""
    assert python(ASK.format(scheme="broken"))[2] == "RuntimeError"


def test_bad_plugins_hurt_nobody_else(python: Any) -> None:
    """With all of them installed, the engine works, and so does every transport that is not claimed twice. Row: X6."""
    source = """
import json
from kcoro_core import plugins
print(json.dumps([plugins.engine().name, plugins.transport("mem").distribution, plugins.engine("recorder").name]))
"""
    assert python(source, KCORO_PLUGINS="-duplicate", KCORO_ENGINE="reference") == [
        "reference",
        "kcoro-core",
        "recorder",
    ]


def test_every_plugin_has_a_report(python: Any) -> None:
    """Row: X6."""
    reports = python(REPORTS)
    states = {key: report["state"] for key, report in reports.items() if "kcoro-bad" in key or "recorder" in key}
    assert states == {
        "kcoro-bad-api:api": "incompatible",
        "kcoro-bad-broken:broken": "failed",
        "kcoro-bad-duplicate:duplicate": "loaded",
        "kcoro-bad-incomplete:incomplete": "failed",
        "kcoro-bad-misspelt:misspelt": "failed",
        "kcoro-bad-signature:signature": "failed",
        "kcoro-engine-recorder:recorder": "loaded",
    }
    assert reports["kcoro-bad-api:api"]["schemes"] == ["next"]
    assert reports["kcoro-bad-api:api"]["api"] == 2
    assert reports["kcoro-engine-recorder:recorder"]["engines"] == ["recorder"]
    assert all(report["error"] for report in reports.values() if report["state"] != "loaded")


def test_a_scheme_that_two_distributions_claim_is_refused_with_both_and_a_remedy_that_works(python: Any) -> None:
    """Row: T1."""
    kind, text, _ = python(ASK.format(scheme="mem"))
    assert kind == "PluginError"
    assert "kcoro-core" in text
    assert "kcoro-bad-duplicate 1.0" in text
    assert "KCORO_PLUGINS=-kcoro-bad-duplicate" in text
    assert python(ASK.format(scheme="mem"), KCORO_PLUGINS="-kcoro-bad-duplicate")[0] == "none"


def test_a_contested_scheme_leaves_the_others_alone(python: Any) -> None:
    """Row: T1."""
    source = "import json; from kcoro_core import plugins; print(json.dumps(plugins.engine().name))"
    assert python(source, KCORO_ENGINE="reference") == "reference"


@pytest.mark.parametrize("name", ["duplicate", "kcoro-bad-duplicate", "Kcoro_Bad.Duplicate"])
def test_a_blocked_plugin_is_not_even_imported(python: Any, name: str) -> None:
    """By the name of the plugin or of its distribution, however that is spelt. Row: X6."""
    source = """
import json, sys
from kcoro_core import plugins
[report] = [r for r in plugins.reports() if r.name == "duplicate"]
try:
    plugins.transport("duplicate")
except Exception as error:
    print(json.dumps(["kcoro_bad_duplicate" in sys.modules, report.state, type(error).__name__, str(error)]))
"""
    imported, state, kind, text = python(source, KCORO_PLUGINS=f"-{name}")
    assert (imported, state, kind) == (False, "blocked", "NotSupported")
    assert "blocked by KCORO_PLUGINS=-duplicate" in text


def test_without_autoload_only_core_and_what_is_named_is_imported(python: Any) -> None:
    """Row: X6."""
    reports = python(REPORTS, KCORO_PLUGIN_AUTOLOAD="0", KCORO_PLUGINS="+recorder")
    loaded = {report["distribution"] for report in reports.values() if report["state"] == "loaded"}
    assert loaded == {"kcoro-core", "kcoro-engine-recorder"}
    assert {report["state"] for report in reports.values()} == {"loaded", "blocked"}
    assert "KCORO_PLUGIN_AUTOLOAD=0" in reports["kcoro-bad-broken:broken"]["error"]


def test_a_plugin_that_is_asked_for_and_not_there_is_told_with_a_guess(python: Any) -> None:
    """A misspelt name in KCORO_PLUGINS does not pass in silence. Row: X6."""
    reports = python(REPORTS, KCORO_PLUGINS="+recordr")
    assert "did you mean recorder?" in reports["none:recordr"]["error"]


def test_strict_makes_the_first_failure_an_error_at_once(python: Any) -> None:
    """Row: X6."""
    source = """
import json
from kcoro_core import plugins
try:
    plugins.engine()
except Exception as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""
    kind, text = python(source, KCORO_PLUGIN_STRICT="1")
    assert kind == "PluginError"
    assert "KCORO_PLUGIN_STRICT is set" in text
    assert python(source.replace("plugins.engine()", "raise KeyError"), KCORO_PLUGIN_STRICT="0")[0] == "KeyError"


def test_importing_core_loads_no_plugin(python: Any) -> None:
    """Not even core's own; they come with the first channel. Row: T5."""
    source = """
import json, sys
import kcoro_core
before = sorted(n for n in sys.modules if n.startswith(("kcoro_transport", "kcoro_bad", "kcoro_core.transports")))
from kcoro_core import plugins
plugins.reports()
print(json.dumps([before, "kcoro_bad_duplicate" in sys.modules]))
"""
    assert python(source) == [[], True]
