# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The commands that show and judge plugins: ``kcoro plugins``, ``kcoro doctor``, ``kcoro conformance``.

Rows: X6, T4, CF1.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import trio

from kcoro_core import cli, plugins
from kcoro_core.cli import doctor

CORE_ONLY = {"KCORO_PLUGIN_AUTOLOAD": "0"}


def test_plugins_lists_everything_with_its_state_and_what_is_wrong(kcoro: Any) -> None:
    """Row: X6."""
    done = kcoro("plugins")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["PLUGIN", "DISTRIBUTION", "STATE", "SERVES", "API", "MS"]
    [broken] = [line for line in lines if line.startswith("broken ")]
    assert broken.split()[1:4] == ["kcoro-bad-broken", "1.0", "failed"]
    assert any(line.startswith("api: ") and "pip install --upgrade" in line for line in lines)


def test_plugins_as_json_has_every_field(kcoro: Any) -> None:
    """Row: X6."""
    done = kcoro("plugins", "--json", **CORE_ONLY)
    [mem] = [report for report in json.loads(done.stdout) if report["name"] == "mem"]
    assert mem.pop("load_seconds") > 0
    assert mem.pop("version")
    assert "ORDERED" in mem.pop("capabilities")
    assert mem == {
        "name": "mem",
        "distribution": "kcoro-core",
        "state": "loaded",
        "schemes": ["mem"],
        "engines": [],
        "hosts": [],
        "resolvers": [],
        "api": 1,
        "error": "",
    }


def test_doctor_is_content_with_core_alone(kcoro: Any) -> None:
    done = kcoro("doctor", **CORE_ONLY)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "all is well"


def test_doctor_finds_what_is_broken_and_says_so_by_its_exit_code(kcoro: Any) -> None:
    """Broken and incompatible plugins, and a scheme that is claimed twice. Row: X6."""
    done = kcoro("doctor", "--json")
    assert done.returncode == 1
    problems = json.loads(done.stdout)["problems"]
    for word in ("kcoro-bad-broken", "kcoro-bad-misspelt", "pip install --upgrade", "'mem:' is claimed by"):
        assert sum(word in problem for problem in problems) == 1, (word, problems)


def test_doctor_names_the_engine_and_why_it_was_chosen(kcoro: Any) -> None:
    findings = json.loads(kcoro("doctor", "--json", KCORO_ENGINE="reference", **CORE_ONLY).stdout)
    assert findings["engine"] == {"name": "reference", "why": "named by KCORO_ENGINE or the configuration"}
    assert findings["environment"] == {"KCORO_ENGINE": "reference", **CORE_ONLY}
    assert findings["hosts"] == ["script", "trio"]
    missing = kcoro("doctor", "--json", KCORO_ENGINE="wooden", **CORE_ONLY)
    assert missing.returncode == 1
    assert "no installed plugin gives engine 'wooden'" in json.loads(missing.stdout)["problems"][0]


def test_doctor_shows_what_was_compiled_into_an_engine(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Nothing of an engine that is Python alone. Row: CF5."""
    channel = plugins.engine("reference").channel
    monkeypatch.setattr(type(channel), "compiled", {"abi": 7, "pollers": ["epoll", "poll"]}, raising=False)
    cli.main(["doctor"])
    assert "\ncompiled      reference: abi 7, pollers epoll poll\n" in capsys.readouterr().out
    monkeypatch.undo()
    assert "reference" not in doctor.examine()["compiled"]


def test_doctor_names_the_host_and_what_each_waits_with(kcoro: Any) -> None:
    """The poller is what a run has, and not what Python would offer; the reason stands beside it. Row: CF5."""
    findings = json.loads(kcoro("doctor", "--json", **CORE_ONLY).stdout)
    assert findings["host"] == {"name": "trio", "why": "a program runs on it unless run(host=...) names another"}
    assert findings["hosts"] == sorted(findings["pollers"]) == ["script", "trio"]
    trios = trio.run(_poller_of_trio)
    assert findings["pollers"]["trio"] == {"name": trios, "why": "trio's choice for this system"}
    lines = kcoro("doctor", **CORE_ONLY).stdout.splitlines()
    assert f"poller        trio: {trios} (trio's choice for this system)" in lines
    assert "poller        script: none (its descriptors are those of the script)" in lines


async def _poller_of_trio() -> str:
    return trio.lowlevel.current_statistics().io_statistics.backend


def test_doctor_finds_a_host_that_cannot_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    """That its poller cannot be made is a problem; that a host does not tell is none. Row: X6."""

    def fail(self: object) -> tuple[str, str]:
        raise OSError("no poller can be made")

    monkeypatch.setattr(type(plugins.host("script")), "poller", fail)
    findings = doctor.examine()
    assert "host script: OSError('no poller can be made')" in findings["problems"]
    assert "script" not in findings["pollers"]
    monkeypatch.setattr(type(plugins.host("script")), "poller", None)
    assert doctor.examine()["pollers"]["script"] == {"name": "unknown", "why": "the host does not tell"}


def test_doctor_finds_a_key_of_the_configuration_that_nobody_knows(kcoro: Any, tmp_path: Path) -> None:
    """Row: CF1."""
    (tmp_path / "kcoro.toml").write_text('engin = "reference"\n', encoding="utf-8")
    done = kcoro("doctor", "--json", **CORE_ONLY)
    findings = json.loads(done.stdout)
    assert done.returncode == 1
    assert findings["configuration"].endswith("kcoro.toml")
    assert "'engin'" in findings["problems"][0]


def test_doctor_finds_a_resolver_that_is_not_there(kcoro: Any) -> None:
    """Rows: X6, X17."""
    done = kcoro("doctor", "--json", **CORE_ONLY, KCORO_RESOLVER="file, pigeon")
    assert done.returncode == 1
    assert "no installed plugin gives resolver 'pigeon'" in json.loads(done.stdout)["problems"][0]


def test_conformance_runs_the_numbered_cases_and_reports_them_three_ways(kcoro: Any, tmp_path: Path) -> None:
    """Row: T4."""
    done = kcoro("conformance", "mem:", "--json", "--junit", str(tmp_path / "kit.xml"), **CORE_ONLY)
    results = json.loads(done.stdout)
    assert done.returncode == 0
    assert len(results) >= 20
    assert {result["state"] for result in results} == {"passed", "does not apply"}
    suite = ET.parse(tmp_path / "kit.xml").getroot()  # noqa: S314 - written two lines above
    assert suite.get("tests") == str(len(results))
    assert suite.get("failures") == "0"
    assert "1.1" in kcoro("conformance", "mem:", **CORE_ONLY).stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["conformance", "nothing:"], "no installed plugin serves 'nothing:'"),
        (["conformance", "/run/x"], "an address looks like"),
        (["conformance", "engine:wooden"], "no installed plugin gives engine 'wooden'"),
        (["conformance", "broken:"], "this plugin cannot even be imported"),
        (["doctor", "--wrong"], "unrecognized arguments: --wrong"),
        (["no-such-command"], "invalid choice: 'no-such-command'"),
        ([], "usage: kcoro"),
    ],
)
def test_what_cannot_be_started_exits_with_2_and_says_why(kcoro: Any, args: list[str], words: str) -> None:
    done = kcoro(*args)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_setting_that_cannot_be_read_is_an_error_that_names_the_variable(kcoro: Any) -> None:
    done = kcoro("plugins", KCORO_PLUGINS="uds")
    assert (done.returncode, done.stdout) == (2, "")
    assert "KCORO_PLUGINS: 'uds' needs a sign" in done.stderr


@pytest.mark.parametrize("command", sorted(cli.commands()))
def test_each_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert f"kcoro {command}" in capsys.readouterr().out.split("example:")[1]


def test_who_stops_reading_our_output_causes_no_error() -> None:
    """As in ``kcoro plugins | head -1``."""
    command = f"{sys.executable} -W error -m kcoro_core plugins; echo $? >&2"
    done = subprocess.run(["sh", "-c", f"{{ {command}; }} | true"], capture_output=True, text=True)
    assert done.stderr.strip() == "0"
