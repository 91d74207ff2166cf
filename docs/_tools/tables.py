# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The tables of the manual that are made from the code; ``python docs/_tools/tables.py`` writes them anew.

A table stands between ``<!-- table: NAME -->`` and ``<!-- end of table -->``. A test compares every page with what this
file makes of the code, so that a table is never edited by hand and never stale.
"""

from __future__ import annotations

import errno
import inspect
import itertools
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import kcoro_core
from kcoro_core import config, errors, hookspecs, semantics
from kcoro_core.semantics import Direction, Kind, Overflow, Situation, WaitForm

DOCS = Path(__file__).resolve().parents[1]
MARK = re.compile(r"(<!-- table: (?P<name>[\w .-]+) -->\n)(?P<body>.*?)(<!-- end of table -->)", re.DOTALL)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table with one blank line around it."""
    head = list(head)
    lines = ["| " + " | ".join(cells) + " |" for cells in ([*head], ["---"] * len(head), *rows)]
    return "\n" + "\n".join(lines) + "\n\n"


# ---------------------------------------------------------------------------------------------------------------------
# Outcomes of channel operations (rows E1, Q2)
# ---------------------------------------------------------------------------------------------------------------------

FORMS = {
    WaitForm.TRY: "`try_*`, `timeout=0`",
    WaitForm.TIMED: "`timeout=s`",
    WaitForm.FOREVER: "no timeout",
}


MEETS = {
    (Direction.SEND, Situation.PARTNER): "a receiver that waits",
    (Direction.SEND, Situation.READY): "room",
    (Direction.SEND, Situation.FULL_OR_EMPTY): "no receiver and no room",
    (Direction.RECV, Situation.PARTNER): "a sender that waits",
    (Direction.RECV, Situation.READY): "an element",
    (Direction.RECV, Situation.FULL_OR_EMPTY): "no sender and no element",
}


def answer(row: semantics.Row) -> str:
    if isinstance(row.answer, str):
        return row.answer
    return f"`{row.answer.__name__}`"


def outcomes(kind: Kind, overflow: Overflow) -> str:
    """What each operation answers in each situation, for one kind and policy."""
    rows: dict[tuple[Direction, Situation], dict[WaitForm, str]] = {}
    for row in semantics.outcome_rows():
        if (row.kind, row.overflow) == (kind, overflow):
            rows.setdefault((row.operation, row.situation), {})[row.form] = answer(row)
    return table(
        ["operation", "it meets", *FORMS.values()],
        (
            [f"`{operation.value}`", MEETS.get((operation, situation), situation.value), *(forms[f] for f in FORMS)]
            for (operation, situation), forms in rows.items()
        ),
    )


def codes_of_channels() -> list[type[errors.KcoroError]]:
    """Every error that the outcome table and the order of precedence can give, in the order of precedence."""
    found = [row.answer for row in semantics.outcome_rows() if not isinstance(row.answer, str)]
    for facts in itertools.product([False, True], repeat=4):
        given = semantics.outcome(cancelled=facts[0], closed=facts[1], ready=facts[2], expired=facts[3])
        found += [] if given is None else [given]
    order = [errors.OperationCancelled, errors.ChannelClosed, errors.WouldBlock, errors.DeadlineExceeded]
    return sorted(dict.fromkeys(found), key=order.index)


def precedence() -> str:
    """Which of several things that are true at the instant of a call decides; the first line that fits."""
    facts = ("cancelled", "closed", "ready", "expired")
    lines = ("its token is set", "closed", "a partner, room or element is there", "its deadline has passed")
    rows = []
    for first, line in zip(facts, lines, strict=True):
        decided = {decides(facts, first, bits) for bits in range(8)}
        assert len(decided) == 1, f"{first} does not decide alone: {decided}"
        rows.append([line, *decided])
    return table(["if", "then"], [*rows, ["none of these", "it waits"]])


def decides(facts: tuple[str, ...], first: str, bits: int) -> str:
    """The outcome when ``first`` is true, nothing before it is, and ``bits`` say what else is."""
    at = facts.index(first)
    true = {first} | {fact for i, fact in enumerate(facts[at + 1 :]) if bits >> i & 1}
    given = semantics.outcome(**{fact: fact in true for fact in facts})
    return f"`{given.__name__}`" if given else "it succeeds"


# ---------------------------------------------------------------------------------------------------------------------
# Errors
# ---------------------------------------------------------------------------------------------------------------------


def taxonomy(base: type[errors.KcoroError] = errors.KcoroError) -> list[type[errors.KcoroError]]:
    """Every class of error that a program can meet; those of the demo and of tests are their own."""
    found = [each for cls in base.__subclasses__() for each in (cls, *taxonomy(cls))]
    return [cls for cls in found if cls.__module__ in ("kcoro_core.errors", "kcoro_core.plugin_loading")]


def all_errors() -> str:
    """The one-pager: number, code, fault, and what still holds."""
    return table(
        ["error", "errno", "code", "fault", "what still holds"],
        (
            [f"`{cls.__name__}`", errno_name(cls), f"`{cls.code}`", cls.fault.value, cls.holds]
            for cls in sorted(taxonomy(), key=lambda cls: cls.__name__)
        ),
    )


def errno_name(cls: type[errors.KcoroError]) -> str:
    return f"`{errno.errorcode[cls.errno]}`"


OPERATIONS = (
    ("Channel", "send"),
    ("Channel", "try_send"),
    ("Channel", "recv"),
    ("Channel", "try_recv"),
    ("", "select"),
    ("", "try_select"),
    ("CancelToken", "wait"),
    ("Task", "wait"),
    ("Task", "result"),
    ("Scope", "launch"),
    ("Scope", "wait_all"),
)


def raised(owner: str, name: str) -> list[str]:
    """The errors of the taxonomy that a docstring says a call raises."""
    where = getattr(kcoro_core, owner) if owner else kcoro_core
    named = re.findall(r":raises (\w+):", inspect.getdoc(getattr(where, name)) or "")
    return [each for each in named if issubclass(getattr(errors, each, object), errors.KcoroError)]


def operations() -> str:
    """Which errors each waiting operation can raise."""
    columns = [cls.__name__ for cls in codes_of_channels()]
    rows = []
    for owner, name in OPERATIONS:
        errors_of = raised(owner, name)
        rows.append([f"`{owner + '.' if owner else ''}{name}`", *("yes" if c in errors_of else "" for c in columns)])
    return table(["operation", *(f"`{c}`" for c in columns)], rows)


# ---------------------------------------------------------------------------------------------------------------------
# Configuration and hooks
# ---------------------------------------------------------------------------------------------------------------------


def settings() -> str:
    """Every setting of the configuration file, its variable and its default."""
    rows = []
    for field in config.fields():
        default = "unset" if field.default is None else f"`{field.default!r}`" if field.default != "" else "empty"
        rows.append([f"`{field.name}`", f"`KCORO_{field.name.upper()}`", default, field.metadata["purpose"]])
    return table(["setting", "variable", "default", "what it does"], rows)


def hooks(group: type) -> str:
    """The signatures of a group of hooks, as a plugin writes them."""
    lines = []
    for name, hook in vars(group).items():
        if name.startswith("kcoro_"):
            signature = inspect.signature(hook)
            arguments = ", ".join(list(signature.parameters)[1:])
            first = (inspect.getdoc(hook) or "").split("\n\n")[0].replace("\n", " ")
            lines.append([f"`{name}({arguments})`", rest_to_markdown(first)])
    return table(["hook", "what it is asked for"], lines)


def rest_to_markdown(text: str) -> str:
    """Docstrings mark code with two backticks, Markdown with one."""
    return text.replace("``", "`")


# ---------------------------------------------------------------------------------------------------------------------
# Every public name
# ---------------------------------------------------------------------------------------------------------------------

SUBJECTS = {
    "channels": "channel Channel Sender Receiver ChannelSnapshot Rates Kind Overflow Undelivered",
    "select": "select try_select Selector Selected SelectMode ClosedRule Clause",
    "clauses": "Recv Send After Triggered Done Readable Writable Signal",
    "cancellation": "CancelToken open_scope Scope Task",
    "coroutines": "Coroutine CoroutineState CoroutineExit",
    "running": "run sleep portal Portal task_dump TaskDump settings Settings",
    "links": "serve Server dial Link RemoteChannel ChannelInfo Listed Rights Redelivered CallFuture Call Peer Identity "
    "Joined Lost LinkReport DrainReport LinkSnapshot PeerError",
    "errors": " ".join(["KcoroError", *sorted(cls.__name__ for cls in taxonomy()), "Fault", "Outcome"]),
    "versions": "ENGINE_API TRANSPORT_API",
}


def reference(subject: str) -> str:
    """One line for each public name of a subject: the first sentence of its text."""
    return table(
        ["name", "what it is"], ([f"`{name}`", said(name)] for name in SUBJECTS[subject].split() if public(name))
    )


def public(name: str) -> bool:
    return name in kcoro_core.__all__


def said(name: str) -> str:
    """The first sentence about a name; for a number, that of the string below it."""
    thing = getattr(kcoro_core, name)
    text = inspect.getdoc(thing) if callable(thing) else below(name)
    sentence = re.split(r"(?<=\.)\s", " ".join((text or "").split()))[0]
    return rest_to_markdown(re.sub(r" \(rows? [A-Z\d, ]+\)", "", sentence)).replace("|", "\\|")


def below(name: str) -> str:
    """The string below a constant in the module that defines it."""
    for module in (kcoro_core.engine, kcoro_core.transport):
        if found := re.search(rf'^{name}\b[^\n]*\n"""(.*?)"""', inspect.getsource(module), re.MULTILINE | re.DOTALL):
            return found[1]
    raise LookupError(name)


def members() -> str:
    """Every member of the enums, under the short name that users write."""
    rows = []
    for cls in (semantics.Kind, semantics.Overflow, semantics.SelectMode, semantics.ClosedRule):
        source = inspect.getsource(cls)
        for member in cls:
            found = re.search(rf'^    {member.name} = [^\n]*\n    """(.*?)"""', source, re.MULTILINE | re.DOTALL)
            assert found is not None, member
            rows.append([f"`{member.name}`", f"`{cls.__name__}`", rest_to_markdown(found[1])])
    return table(["name", "of", "what it does"], rows)


# ---------------------------------------------------------------------------------------------------------------------
# Writing them into the pages
# ---------------------------------------------------------------------------------------------------------------------


def makers() -> dict[str, Callable[[], str]]:
    """Every table by its name."""
    made: dict[str, Callable[[], str]] = {
        "precedence": precedence,
        "errors": all_errors,
        "operations": operations,
        "settings": settings,
        "members": members,
        "hooks engine": lambda: hooks(hookspecs.EngineHooks),
        "hooks host": lambda: hooks(hookspecs.HostHooks),
        "hooks resolver": lambda: hooks(hookspecs.ResolverHooks),
        "hooks transport": lambda: hooks(hookspecs.TransportHooks),
        "hooks datagrams": lambda: hooks(hookspecs.DatagramHooks),
    }
    for subject in SUBJECTS:
        made[f"names {subject}"] = lambda s=subject: reference(s)
    for kind, overflow in semantics.legal_combinations():
        made[f"outcomes {kind.name} {overflow.name}"] = lambda k=kind, o=overflow: outcomes(k, o)
    return made


def renewed(text: str) -> str:
    """A page with every table made anew."""
    made = makers()
    return MARK.sub(lambda found: found[1] + made[found["name"]]() + found[4], text)


def names(text: str) -> list[str]:
    """The tables of a page."""
    return [found["name"] for found in MARK.finditer(text)]


def main() -> int:
    """Write every table anew, and say which pages that changed."""
    for page in sorted(DOCS.glob("*.md")):
        old = page.read_text()
        if (new := renewed(old)) != old:
            page.write_text(new)
            sys.stdout.write(f"{page.name}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
