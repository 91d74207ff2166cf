# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Error numbers on the wire: fixed, complete, and independent of the operating system. Row: E2."""

import errno

import pytest

from kcoro_core import errors
from kcoro_core.wire.codes import ERROR_OF, WireCode, code_of, error_of
from kcoro_core.wire.messages import encode_reply

NUMBERS = {
    "OK": 0, "EAGAIN": 1, "ETIME": 2, "ECANCELED": 3, "EPIPE": 4, "ENOTSUP": 5, "EMSGSIZE": 6, "ENOBUFS": 7,
    "EACCES": 8, "ENOENT": 9, "EEXIST": 10, "EOVERFLOW": 11, "EPROTO": 12, "EINVAL": 13, "EFAULT": 14,
}  # fmt: skip
GOLDEN = {
    WireCode.OK: "00000000", WireCode.EAGAIN: "ffffffff", WireCode.ETIME: "fffffffe", WireCode.ECANCELED: "fffffffd",
    WireCode.EPIPE: "fffffffc", WireCode.ENOTSUP: "fffffffb", WireCode.EMSGSIZE: "fffffffa",
    WireCode.ENOBUFS: "fffffff9", WireCode.EACCES: "fffffff8", WireCode.ENOENT: "fffffff7", WireCode.EEXIST: "fffffff6",
    WireCode.EOVERFLOW: "fffffff5", WireCode.EPROTO: "fffffff4", WireCode.EINVAL: "fffffff3",
    WireCode.EFAULT: "fffffff2",
}  # fmt: skip


def test_the_numbers_never_change() -> None:
    """Every error has the number that it was given once. Row: E2."""
    assert {code.name: code.value for code in WireCode} == NUMBERS


@pytest.mark.parametrize("code", WireCode)
def test_each_number_has_its_golden_bytes(code: WireCode) -> None:
    """rc is the number negated, four bytes, big-endian, two's complement. Row: E2."""
    assert encode_reply(code).hex() == GOLDEN[code]


@pytest.mark.parametrize("code", [code for code in WireCode if code is not WireCode.OK])
def test_each_number_comes_back_as_its_error_and_text(code: WireCode) -> None:
    """What a home raised is what the opener sees, with the peer's text. Row: E2."""
    error = error_of(code, "why")

    assert type(error) is ERROR_OF[code]
    assert "why" in str(error)
    if code is not WireCode.EFAULT:  # whatever has no number of its own shares this one
        assert code_of(error) is code


def test_numbers_do_not_depend_on_the_operating_system() -> None:
    """A system whose ETIME differs speaks the same protocol: no number is taken from errno. Row: E2."""
    names = [code.name for code in WireCode if code is not WireCode.OK]
    assert any(getattr(errno, name) != WireCode[name] for name in names)
    assert WireCode(2) is WireCode.ETIME


def test_every_error_a_home_can_raise_has_a_number() -> None:
    """All classes of the taxonomy travel, but for those that are news of one side. Row: E2."""
    silent = {"KcoroError", "LinkLost", "TransportError", "PluginError", "WrongLoop", "WrongState"}
    for name in errors.__all__:
        kind = getattr(errors, name)
        if isinstance(kind, type) and issubclass(kind, errors.KcoroError):
            assert (code_of(kind()) is WireCode.EFAULT) == (name in silent), name


def test_a_foreign_exception_travels_as_a_failure_of_the_peer() -> None:
    """What nobody planned for becomes EFAULT; a subclass travels as what it is. Row: E2."""

    class Busy(errors.NoBuffers):
        """A plugin's own flavour of a full buffer."""

    assert code_of(ZeroDivisionError("secret")) is WireCode.EFAULT
    assert code_of(Busy()) is WireCode.ENOBUFS


def test_a_number_from_the_future_still_ends_its_operation() -> None:
    """An unknown number is a ProtocolError of that operation that names the number. Row: E2."""
    error = error_of(4711, "new")

    assert isinstance(error, errors.ProtocolError)
    assert "4711" in str(error)
    with pytest.raises(ValueError, match="success"):
        error_of(0)
