# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""When the files of ``tls:`` are read, so that certificates can be changed while programs run (row X18)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import trio

from kcoro_core import BUFFERED, TransportError, channel, dial, serve

from .certificates import Party, party, trusted_file


@pytest.fixture
def files(tmp_path: Path) -> Party:
    """The files of one party, which the test may change."""
    return changed_to(party("server"), {name: str(tmp_path / name) for name in ("certfile", "keyfile", "cafile")})


def changed_to(source: Party, files: Party) -> Party:
    """Put the files of another party in place, each in one step."""
    for name, path in files.items():
        shutil.copy(source[name], f"{path}.new")
        os.replace(f"{path}.new", path)
    return files


def anybody(*_: Any) -> bool:
    return True


def test_who_dials_reads_the_files_at_each_dial_and_a_link_outlives_them(files: Party) -> None:
    """Row: X18."""

    async def main() -> None:
        jobs = channel(BUFFERED, capacity=2)
        async with serve("tls:", {"jobs": jobs}, anybody, **party("server")) as server:
            async with dial(server.uri, **files) as link:
                changed_to(party("worker", by="theirs"), files)
                with pytest.raises(TransportError, match="does not trust the authority of our certificate"):
                    async with dial(server.uri, **files):
                        pass
                handle = await link.open("jobs")
                await handle.send(b"still here")
            changed_to(party("worker"), files)
            async with dial(server.uri, **files) as link:
                assert link.snapshot().state == "open"
        assert len(jobs) == 1

    trio.run(main)


def test_a_server_reads_the_files_when_it_begins_to_listen(files: Party) -> None:
    """Row: X18."""

    async def main() -> None:
        old, new = party("worker"), {**party("worker"), "cafile": trusted_file("theirs")}
        async with serve("tls:", {}, anybody, **files) as server:
            changed_to(party("server", by="theirs"), files)
            async with dial(server.uri, **old):
                pass
        async with serve("tls:", {}, anybody, **files) as server:
            with pytest.raises(TransportError, match="certificate of the other side is refused"):
                async with dial(server.uri, **old):
                    pass
            async with dial(server.uri, **new):
                pass

    trio.run(main)


def test_two_authorities_in_one_file_are_both_trusted(tmp_path: Path) -> None:
    """So that one can take over from the other. Row: X18."""
    both = tmp_path / "both.pem"
    both.write_bytes(Path(trusted_file("ours")).read_bytes() + Path(trusted_file("theirs")).read_bytes())

    async def main() -> int:
        met = 0
        for by in ("ours", "theirs"):
            server_files = {**party("server", by=by), "cafile": str(both)}
            async with serve("tls:", {}, anybody, **server_files) as server:
                for other in ("ours", "theirs"):
                    async with dial(server.uri, **{**party("worker", by=other), "cafile": str(both)}):
                        met += 1
        return met

    assert trio.run(main) == 4
