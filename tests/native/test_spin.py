# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Models of the claim word, explored in full by spin: what holds if partners run at once. Rows: SE1, CH9."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from .library import CSRC, HERE, STATES, compiler, run

MODELS = sorted(path for path in (HERE / "spin").glob("*.pml") if path.stem != "claim")
QUOTED = re.compile(r"/\* (\w+\.[ch]): (.+?) \*/")
# What is planted into each model, and how spin says that it has found it.
TWICE = "told<=1"
WAITS_FOR_EVER = "invalid end state"
WRONG = "assertion violated"
FAULTS = {
    "select_claim": {
        "TEST_THEN_SET": TWICE,
        "LOSER_WAKES": TWICE,
        "FINISHED_TWICE": TWICE,
        "VALUE_BEFORE_CLAIM": "ops[0].value==",
        "ONE_CLAUSE_IS_NOT_WITHDRAWN": "list[ch].length==0",
    },
    "two_selects": {
        "TEST_THEN_SET": WRONG,
        "LOSER_WAKES": WRONG,
        "POLLS_WITHOUT_A_CLAIM": WRONG,
        "LATE_IS_FORGOTTEN": WAITS_FOR_EVER,
        "DENIED_AND_NOT_POLLED_AGAIN": WAITS_FOR_EVER,
        "SOMEBODY_BETWEEN_POLL_AND_ENLIST": WAITS_FOR_EVER,
        "TIMER_IN_ANOTHER_THREAD": WAITS_FOR_EVER,
    },
    "close_send": {
        "TEST_THEN_SET": WRONG,
        "LOSER_WAKES": TWICE,
        "WAKE_BEFORE_VALUE": WRONG,
        "SHUT_WITHOUT_A_CLAIM": TWICE,
        "APPENDED_BEFORE_THE_CLAIM": "taken[(got-11)]",
        "CLOSE_IS_NOT_LOOKED_AT": "third_was_accepted",
        "CLOSED_IS_NOT_SAID": WAITS_FOR_EVER,
        "RECEIVERS_ARE_NOT_TOLD": WAITS_FOR_EVER,
    },
}
FAULTS["sleepers"] = dict.fromkeys(
    [
        "SEES_WORK_AND_NOT_AS_A_SEARCHER",
        "SEARCHER_THAT_FOUND_WAKES_NOBODY",
        "SEARCHES_WHILE_IT_LOOKS",
        "LOOKS_BEFORE_IT_LIES_DOWN",
        "NOTIFIED_BEFORE_IT_IS_THERE",
    ],
    WRONG,
)
PLANTED = [(model, fault) for model, faults in FAULTS.items() for fault in faults]


def explored(model: str, folder: Path, *planted: str) -> str:
    """What spin says about every order of the steps of a model."""
    if (spin := shutil.which("spin")) is None:
        pytest.skip("there is no spin to explore the models of libkcoro with")
    if (cc := compiler()) is None:
        pytest.skip("there is no C compiler, which the models of spin need")
    for path in (HERE / "spin").glob("*.pml"):
        shutil.copy(path, folder)
    # Both write into the folder that they run in.
    script = f"cd '{folder}' && {spin} {' '.join(f'-D{name}' for name in planted)} -a {model}.pml"
    made = run("sh", "-c", f"{script} && {cc} -w -DSAFETY -o pan pan.c && ./pan -m100000")
    assert made.returncode == 0, made.stdout + made.stderr
    return made.stdout


def reports(said: str) -> list[str]:
    """What spin has found wrong."""
    return re.findall(r"^pan:\d+: (.*)", said, re.MULTILINE)


@pytest.mark.parametrize("model", FAULTS)
def test_nothing_goes_wrong_in_any_order_of_the_steps(model: str, tmp_path: Path) -> None:
    """One winner, told once; each element in one place; nobody waits for ever. Rows: CH9, CH11, SE1, SE6."""
    said = explored(model, tmp_path)
    states = int(re.findall(r"(\d+) states, stored", said)[0])
    STATES[model] = states
    assert reports(said) == []
    assert "Search not completed" not in said
    assert "max search depth too small" not in said
    assert states > 10_000


@pytest.mark.parametrize(("model", "fault"), PLANTED, ids=lambda word: word)
def test_a_planted_fault_is_found(model: str, fault: str, tmp_path: Path) -> None:
    """And by what it breaks: somebody is told twice, an element is in two places, somebody waits for ever."""
    found = reports(explored(model, tmp_path, fault))
    assert found
    assert FAULTS[model][fault] in found[0]


def test_every_fault_of_the_models_is_planted_here() -> None:
    """And those of the common part in at least one model each."""
    texts = {path.stem: path.read_text() for path in (HERE / "spin").glob("*.pml")}
    named = {stem: set(re.findall(r"#ifn?def (\w+)", text)) for stem, text in texts.items()}
    common = named.pop("claim")
    assert common <= {fault for faults in FAULTS.values() for fault in faults}
    assert {model: set(faults) - common for model, faults in FAULTS.items()} == named


def bare(line: str) -> str:
    """A line of C without indentation and what is said behind it."""
    return re.sub(r" */\*.*", "", line).strip()


@pytest.mark.parametrize("path", [*MODELS, HERE / "spin" / "claim.pml"], ids=lambda path: path.stem)
def test_each_step_names_a_line_of_the_sources(path: Path) -> None:
    """Whoever changes such a line looks at the model again."""
    quoted = QUOTED.findall(path.read_text())
    assert len(quoted) >= 4
    lines = {name: {bare(line) for line in (CSRC / name).read_text().splitlines()} for name, _ in quoted}
    assert [(name, line) for name, line in quoted if line not in lines[name]] == []
