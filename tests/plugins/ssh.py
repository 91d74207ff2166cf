# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A real ``sshd`` for tests, with keys of its own, for this user and on this machine; the system's has no part in it.

Everything it has lies in one folder: the keys of host and client, both configurations, what is known of the host. It
listens at a high port of the loopback interface, knows one key, and reads no other file of the user.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import frozen

__all__ = ["Sshd", "serving"]

HOST = "far"
"""How the host is called in the configuration of the client."""
WHERE = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
"""An ``sshd`` is a program of the administrator's, and is started by its path."""
RUN = Path("/run/sshd")
"""A folder that has to be there where root starts one; a service makes it each time, and so is it made here."""
ATTEMPTS = 5
"""How many ports are tried."""

SERVER = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/client.pub
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowStreamLocalForwarding yes
# The folder lies in one for temporary things, in which anybody may make some.
StrictModes no
# A kit begins many connections before it goes on with any.
MaxStartups 500
MaxSessions 500
"""

CLIENT = """
Host {host}
HostName 127.0.0.1
Port {port}
User {user}
IdentityFile {folder}/client
IdentitiesOnly yes
UserKnownHostsFile {folder}/known
GlobalKnownHostsFile none
StrictHostKeyChecking yes
BatchMode yes
LogLevel ERROR
ControlPath none
ExitOnForwardFailure yes
"""


@frozen
class Sshd:
    """One that runs; ``command`` is how to call the host, as the first words of a command."""

    folder: Path
    command: str

    def forget_host(self) -> None:
        """From now on nobody knows whose key the host has."""
        (self.folder / "known").write_text("")


def need_ssh() -> None:
    """Skip where there is no ``sshd`` to be started, and say which package has it."""
    missing = [name for name in ("sshd", "ssh", "ssh-keygen") if shutil.which(name, path=WHERE) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed (Debian: openssh-server, openssh-client)")


@contextmanager
def serving(folder: Path) -> Iterator[Sshd]:
    """Run one, which ends with the block."""
    need_ssh()
    if os.getuid() == 0:
        RUN.mkdir(mode=0o755, exist_ok=True)  # and it stays: another run may need it
    make_keys(folder)
    process = started(folder)
    try:
        yield Sshd(folder, f"ssh -F {folder}/ssh_config {HOST}")
    finally:
        process.terminate()
        process.communicate()


def started(folder: Path) -> subprocess.Popen[str]:
    """One that listens; at another port when somebody has taken the one that was free."""
    command = [str(shutil.which("sshd", path=WHERE)), "-D", "-e", "-f", str(folder / "sshd_config")]
    said = ""
    for _ in range(ATTEMPTS):
        configure(folder, free_port())
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for line in process.stderr:
            said += line
            if line.startswith("Server listening"):
                return process
        process.communicate()
    raise AssertionError(f"sshd has ended: {said}")


def free_port() -> int:
    """A port that was free just now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def make_keys(folder: Path) -> None:
    """A key of the host, and one of the client."""
    for name in ("host", "client"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)]
        subprocess.run(command, check=True)


def configure(folder: Path, port: int) -> None:
    """Both sides, for that port."""
    key = " ".join((folder / "host.pub").read_text().split()[:2])
    (folder / "known").write_text(f"[127.0.0.1]:{port} {key}\n")
    values = {"folder": folder, "port": port, "host": HOST, "user": getpass.getuser()}
    (folder / "sshd_config").write_text(SERVER.format(**values))
    (folder / "ssh_config").write_text(CLIENT.format(**values))
