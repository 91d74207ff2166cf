# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro dev-certs``: what it writes carries a link over ``tls:``, and stays with this user (row X18)."""

from __future__ import annotations

import importlib.util
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from kcoro_core import BUFFERED, TransportError, channel, cli, dial, run, serve

KEYS = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL)


@pytest.fixture
def certs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with what the command wrote."""
    folder = tmp_path / "certs"
    assert cli.main(["dev-certs", "--into", str(folder), "--host", "jobs.example", "--client", "alice"]) == 0
    capsys.readouterr()
    return folder


def party(folder: Path, name: str) -> dict[str, Any]:
    return {"certfile": str(folder / name), "keyfile": str(folder / name), "cafile": str(folder / "ca.pem")}


def test_server_and_client_talk_and_the_server_knows_the_client_by_name(certs: Path) -> None:
    """Row: X18."""
    seen: set[str | None] = set()

    def rule(identity: Any, name: str, operation: str) -> bool:
        seen.add(identity.subject)
        return bool(identity.verified)

    async def main() -> bytes:
        jobs = channel(BUFFERED, capacity=1)
        async with (
            serve("tls:127.0.0.1:0", {"jobs": jobs}, rule, **party(certs, "server.pem")) as server,
            dial(server.uri, **party(certs, "client.pem")) as link,
        ):
            remote = await link.open("jobs")
            await remote.send(b"hello")
            got: bytes = await jobs.recv()
            return got

    assert run(main) == b"hello"
    assert all(subject is not None and subject.startswith("CN=alice") for subject in seen)


def test_two_runs_have_authorities_of_their_own(certs: Path, tmp_path: Path) -> None:
    """A client of another run is refused. Row: X18."""
    other = tmp_path / "other"
    assert cli.main(["dev-certs", "--into", str(other)]) == 0

    async def main() -> None:
        async with (
            serve("tls:127.0.0.1:0", {}, lambda *_: True, **party(certs, "server.pem")) as server,
            dial(server.uri, **party(other, "client.pem")),
        ):
            pass

    with pytest.raises((TransportError, ExceptionGroup)) as caught:
        run(main)
    assert "certificate" in str(
        caught.value if not isinstance(caught.value, ExceptionGroup) else caught.value.exceptions
    )
    of_authority = x509.load_pem_x509_certificate((certs / "ca.pem").read_bytes()).public_key()
    written = "".join(path.read_text() for path in certs.iterdir())
    kept = [serialization.load_pem_private_key(pem.encode(), None).public_key() for pem in KEYS.findall(written)]
    assert len(kept) == 2
    assert of_authority not in kept


def test_only_this_user_can_read_what_was_written(certs: Path) -> None:
    """Row: X18."""
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in certs.iterdir()}
    assert modes == dict.fromkeys(("ca.pem", "server.pem", "client.pem"), 0o600)
    assert b"PRIVATE KEY" not in (certs / "ca.pem").read_bytes()


def test_nothing_is_written_over(certs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Row: X18."""
    before = {path: path.read_bytes() for path in certs.iterdir()}
    assert cli.main(["dev-certs", "--into", str(certs)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in certs.iterdir()} == before


def test_what_it_prints_is_for_a_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Row: X18."""
    folder = tmp_path / "with space"
    assert cli.main(["dev-certs", "--into", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        f"export KCORO_TLS_CAFILE='{folder}/ca.pem'",
        f"export KCORO_TLS_CERTFILE='{folder}/server.pem'",
    ]
    assert lines[2].startswith("# whoever dials: export KCORO_TLS_CERTFILE=")


def test_without_trustme_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row: X18."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "trustme" else real(name, *more)
    )
    assert cli.main(["dev-certs", "--into", str(tmp_path / "x")]) == 2
    assert "pip install 'kcoro-core[dev-certs]'" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
