# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What travels through the three channels, as bytes: a JSON list that begins with the kind of message.

Rule 1: nothing is longer than MESSAGE_BYTES, which is half of what a link takes by default.
Rule 2: what comes in is checked, its length before anything else; a message that breaks a rule is Malformed, and the
receiver goes on without it.

=========  =========  ===============================================================================================
kind       channel    fields
=========  =========  ===============================================================================================
order      jobs       job, issue, paths of the files to count
taken      results    job, issue, worker
part       results    job, issue, worker, index of this part from 0, counts of some of the words
answer     results    job, issue, worker, number of parts before it, the other counts, files and bytes counted,
                      seconds it took, [position in the order, reason] of each file that was skipped
progress   progress   job, issue, worker, bytes counted so far
=========  =========  ===============================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

import attrs
from attrs import frozen

from .files import FILES_PER_BATCH
from .words import WORD_LIMIT

__all__ = [
    "MESSAGE_BYTES",
    "Answer",
    "Malformed",
    "Message",
    "Order",
    "Part",
    "Progress",
    "Taken",
    "decode",
    "decode_as",
    "encode",
    "portions",
]

MESSAGE_BYTES: Final = 512 * 1024
"""The largest message of the demo, in bytes; larger counts are cut into parts."""
WORDS_BYTES: Final = 256 * 1024
REASON_CHARACTERS: Final = 200
_LARGEST: Final = 1 << 53
"""Beyond this, JSON numbers are no longer exact in every language."""
# Lower case may be longer than upper: U+0130 becomes two characters, U+0390 in upper case is three.
_LONGEST_WORD: Final = 3 * WORD_LIMIT


class Malformed(ValueError):
    """These bytes are no message of the demo."""


def _number(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if type(value) is not int or not 0 <= value < _LARGEST:
        raise Malformed(f"{attribute.name} must be an integer >= 0, not {value!r:.40}")


def _seconds(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if type(value) not in (int, float) or not 0 <= value < _LARGEST:  # type: ignore[operator]
        raise Malformed(f"{attribute.name} must be a number of seconds, not {value!r:.40}")


def _paths(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, tuple) or not 0 < len(value) <= FILES_PER_BATCH:
        raise Malformed(f"{attribute.name} must be a list of 1 to {FILES_PER_BATCH} paths")
    if not all(type(path) is str for path in value):
        raise Malformed(f"{attribute.name} must hold strings")


def _words(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, Mapping):
        raise Malformed(f"{attribute.name} must map words to counts")
    for word, count in value.items():
        if type(count) is not int or not 0 < count < _LARGEST or not 0 < len(word) <= _LONGEST_WORD:
            raise Malformed(f"{attribute.name} must map words to counts, not {word!r:.40} to {count!r:.40}")


def _skipped(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, tuple) or len(value) > FILES_PER_BATCH:
        raise Malformed(f"{attribute.name} must be a list of at most {FILES_PER_BATCH} entries")
    for entry in value:
        match entry:
            case (int(position), str(reason)) if 0 <= position < FILES_PER_BATCH and len(reason) <= REASON_CHARACTERS:
                continue
        raise Malformed(f"{attribute.name} must hold [position, reason], not {entry!r:.40}")


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _as_tuples(value: object) -> object:
    return tuple(_as_tuple(entry) for entry in value) if isinstance(value, (list, tuple)) else value


@frozen
class Order:
    """Count the words of these files."""

    job: int = attrs.field(validator=_number)
    issue: int = attrs.field(validator=_number)
    paths: tuple[str, ...] = attrs.field(validator=_paths, converter=_as_tuple)


@frozen
class Taken:
    """This worker has taken this order, and will answer it."""

    job: int = attrs.field(validator=_number)
    issue: int = attrs.field(validator=_number)
    worker: int = attrs.field(validator=_number)


@frozen
class Part:
    """Some of the counts of an answer that does not fit into one message."""

    job: int = attrs.field(validator=_number)
    issue: int = attrs.field(validator=_number)
    worker: int = attrs.field(validator=_number)
    index: int = attrs.field(validator=_number)
    words: Mapping[str, int] = attrs.field(validator=_words)


@frozen
class Answer:
    """The last message of an answer."""

    job: int = attrs.field(validator=_number)
    issue: int = attrs.field(validator=_number)
    worker: int = attrs.field(validator=_number)
    parts: int = attrs.field(validator=_number)
    words: Mapping[str, int] = attrs.field(validator=_words)
    files: int = attrs.field(validator=_number)
    size: int = attrs.field(validator=_number)
    seconds: float = attrs.field(validator=_seconds)
    skipped: tuple[tuple[int, str], ...] = attrs.field(default=(), validator=_skipped, converter=_as_tuples)


@frozen
class Progress:
    """How far this worker is with this order."""

    job: int = attrs.field(validator=_number)
    issue: int = attrs.field(validator=_number)
    worker: int = attrs.field(validator=_number)
    size: int = attrs.field(validator=_number)


Message = Order | Taken | Part | Answer | Progress
"""Everything that coordinator and workers say to each other."""
M = TypeVar("M", Order, Taken, Part, Answer, Progress)
_KINDS: Final[dict[str, type[Message]]] = {
    kind.__name__.lower(): kind for kind in (Order, Taken, Part, Answer, Progress)
}


def encode(message: Message) -> bytes:
    """The bytes of a message.

    :raises Malformed: it would be longer than MESSAGE_BYTES.
    """
    fields = [getattr(message, field.name) for field in attrs.fields(type(message))]
    text = json.dumps([type(message).__name__.lower(), *fields], ensure_ascii=False, separators=(",", ":"))
    # A path may hold bytes that are no UTF-8 (as surrogates); written with a backslash they are escapes of JSON.
    raw = text.encode(errors="backslashreplace")
    if len(raw) > MESSAGE_BYTES:
        raise Malformed(f"a message of {len(raw)} bytes is longer than {MESSAGE_BYTES}")
    return raw


def decode(raw: bytes) -> Message:
    """The message in these bytes.

    :raises Malformed: too long, no JSON, of an unknown kind, or with fields that break the table above.
    """
    if len(raw) > MESSAGE_BYTES:
        raise Malformed(f"a message of {len(raw)} bytes is longer than {MESSAGE_BYTES}")
    try:
        value = json.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        raise Malformed(f"no JSON: {error}") from error
    if not isinstance(value, list) or not value or not isinstance(value[0], str) or value[0] not in _KINDS:
        raise Malformed(f"no message begins with {raw[:40]!r}")
    try:
        return _KINDS[value[0]](*value[1:])
    except TypeError as error:
        raise Malformed(f"{value[0]}: {error}") from error


def decode_as(raw: bytes, kind: type[M]) -> M:
    """The message in these bytes, which must be of this kind.

    :raises Malformed: as ``decode``, or of another kind.
    """
    message = decode(raw)
    if not isinstance(message, kind):
        raise Malformed(f"{kind.__name__} expected, not {type(message).__name__}")
    return message


def portions(words: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Counts in portions that each fit into a message beside everything else; at least one, perhaps empty."""
    portion: dict[str, int] = {}
    written = 0
    for word, count in words.items():
        entry_bytes = (len(word) if word.isascii() else 4 * len(word)) + 24
        if written + entry_bytes > WORDS_BYTES:
            yield portion
            portion, written = {}, 0
        portion[word] = count
        written += entry_bytes
    yield portion
