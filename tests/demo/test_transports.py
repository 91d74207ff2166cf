# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro demo`` over transports that want certificates: made for the run, and gone with it. Rows: T2, X18."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from kcoro_core.certificates import FILES
from kcoro_core.demo.rule import has_certificate, papers_for
from kcoro_core.transport import Identity

from ..transports.certificates import environment
from .local import plant
from .real import Place, demo, start
from .real import place as new_place


@pytest.fixture
def place() -> Iterator[Place]:
    with new_place() as here:
        yield here


@pytest.mark.parametrize("transport", ["tls", "quic"])
def test_the_count_is_exact_with_certificates_that_nobody_had_to_make(
    place: Place, tmp_path: Path, transport: str
) -> None:
    """None of them is left, which the place looks for. Row: T2."""
    expected = plant(tmp_path)
    ended = demo(place, tmp_path, "--transport", transport, "--json")
    assert (ended.code, ended.err) == (0, "")
    report = json.loads(ended.out)
    assert {entry["word"]: entry["count"] for entry in report["top"]} == dict(expected)
    assert (report["transport"], report["proof"]["equal"]) == (transport, True)


def test_workers_that_are_killed_are_replaced_over_tls_too(place: Place, tmp_path: Path) -> None:
    """Row: N6."""
    expected = plant(tmp_path, files=24, words=3000)
    ended = demo(place, tmp_path, "--transport", "tls", "--chaos", "--seed", "1", "--json")
    assert (ended.code, ended.err) == (0, "")
    report = json.loads(ended.out)
    assert {entry["word"]: entry["count"] for entry in report["top"]} == dict(expected)
    assert report["chaos"]["killed"] >= 1


def test_what_the_environment_names_is_used_instead(place: Place, tmp_path: Path) -> None:
    """Row: X18."""
    plant(tmp_path)
    ended = demo(place, tmp_path, "--transport", "tls", "--json", **environment())
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out)["proof"]["equal"]


def test_while_it_runs_only_this_user_can_read_the_keys(place: Place) -> None:
    """Row: X18."""
    process = start(place, "--transport", "tls")
    place.wait_for_workers(2)
    [folder] = place.path.iterdir()
    assert {name: stat.S_IMODE((folder / name).stat().st_mode) for name in FILES} == dict.fromkeys(FILES, 0o600)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    process.terminate()
    process.communicate()
    place.check_empty()


def test_who_has_no_certificate_of_the_run_is_nobody() -> None:
    """Row: X18."""
    assert has_certificate(Identity("certificate", verified=True, subject="CN=worker"), "jobs", "recv")
    assert not has_certificate(Identity("certificate", verified=False, subject="CN=worker"), "jobs", "recv")
    assert not has_certificate(Identity("uid", verified=True, uid=os.getuid()), "jobs", "recv")
    assert not has_certificate(Identity("none"), "jobs", "recv")


@pytest.mark.parametrize("transport", ["uds", "tcp", "mem"])
def test_others_get_none(tmp_path: Path, transport: str) -> None:
    papers = papers_for(transport, tmp_path)
    assert (papers.options, papers.environment, list(tmp_path.iterdir())) == ({}, {}, [])


def test_a_stranger_s_transport_with_certificates_gets_some_as_well(place: Place, tmp_path: Path) -> None:
    """By what it says about itself, and not by its name, which nobody here has heard of. Rows: T2, T8."""
    expected = plant(tmp_path / "input")
    stranger = installed_stranger(tmp_path / "site")
    path = os.pathsep.join([str(stranger), *filter(None, [os.environ.get("PYTHONPATH")])])
    ended = demo(place, tmp_path / "input", "--transport", "vault", "--json", PYTHONPATH=path)
    assert (ended.code, ended.err) == (0, "")
    report = json.loads(ended.out)
    assert {entry["word"]: entry["count"] for entry in report["top"]} == dict(expected)
    assert (report["transport"], report["proof"]["equal"]) == ("vault", True)


STRANGER = """
import attrs
from kcoro_core.hookspecs import hookimpl
from kcoro_transport_tcp import tls_plugin
from kcoro_transport_tcp.tls_plugin import *

@hookimpl
def kcoro_transport_info():
    return attrs.evolve(tls_plugin.INFO, name="vault", schemes=("vault",))

@hookimpl
def kcoro_connect(uri, config):
    return tls_plugin.kcoro_connect(uri.replace("vault:", "tls:", 1), config)

@hookimpl
def kcoro_listen(uri, config):
    return tls_plugin.kcoro_listen(uri.replace("vault:", "tls:", 1), config)

@hookimpl
def kcoro_local_uri(listener):
    return tls_plugin.kcoro_local_uri(listener).replace("tls:", "vault:", 1)
"""


def installed_stranger(site: Path) -> Path:
    """A folder with a distribution whose transport is TLS under another name."""
    about = site / "kcoro_transport_vault-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "kcoro_transport_vault.py").write_text(STRANGER)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: kcoro-transport-vault\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[kcoro]\nvault = kcoro_transport_vault\n")
    return site


def test_without_trustme_the_extra_is_named(place: Place, tmp_path: Path) -> None:
    """Row: X6."""
    plant(tmp_path / "input", files=1)
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['trustme'] = None\n")
    path = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    ended = demo(place, tmp_path / "input", "--transport", "tls", PYTHONPATH=os.pathsep.join(path))
    assert (ended.code, ended.out) == (2, "")
    assert "pip install 'kcoro-core[dev-certs]'" in ended.err
