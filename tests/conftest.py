# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What holds for every test: a skip prints its reason, and is a failure where ``KCORO_NO_SKIPS=1`` says so.

A machine may lack something that a test needs (a second user, an interpreter); the test then skips and says what is
missing. Continuous integration has everything, so there a skip means that a check has quietly stopped working.
"""

from __future__ import annotations

import ast
import gc
import importlib.metadata
import os
import signal
import sys
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

import hypothesis
import pytest

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

# Shipped laws assert as tests do. Said here, because a module that another test file has imported is past rewriting.
pytest.register_assert_rewrite("kcoro_core.testing.laws")

# The same examples in each run: a failure is seen by everybody, and shrunk once. Campaigns of many seeds have their own
# commands. No deadline per example, and none for drawing them: a loaded machine is not a defect.
hypothesis.settings.register_profile(
    "kcoro",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("kcoro")


# Tests of the native engine and host as a whole run where its package is installed: `tox run -e py312-native-mem`. They
# are no part of any other run, so that they are not skipped there. (What is installed says so itself: a folder of the
# project has the package's name, and would be found.)
if not importlib.metadata.entry_points(group="kcoro", name="native"):
    collect_ignore = [
        "bench/test_native_run.py",
        "demo/test_native.py",
        "hosts/test_native.py",
        "hosts/test_native_busy.py",
        "hosts/test_native_failing.py",
        "hosts/test_native_memory.py",
        "hosts/test_native_misuse.py",
        "hosts/test_native_misuse_random.py",
        "hosts/test_native_outside.py",
        "hosts/test_native_coroutines.py",
        "hosts/test_native_stacks.py",
        "hosts/test_native_tunables.py",
        "hosts/test_stackful.py",
        "hosts/test_stackful_depth.py",
        "hosts/test_stackful_ends.py",
        "hosts/test_stackful_finalizers.py",
        "hosts/test_stackful_manual.py",
        "hosts/test_stackful_memory.py",
        "hosts/test_stackful_resume.py",
        "hosts/test_stackful_state.py",
        "hosts/test_stackful_refused.py",
        "laws/test_native.py",
        "laws/test_native_links.py",
        "link/test_native_ways.py",
        "sim/test_native.py",
    ]

# On a version of Python without them, test_stackful_refused.py is all that there is.
elif importlib.import_module("kcoro_native._native")._no_stackful() is not None:
    collect_ignore = [
        "hosts/test_native_coroutines.py",
        "hosts/test_native_stacks.py",
        "hosts/test_stackful.py",
        "hosts/test_stackful_depth.py",
        "hosts/test_stackful_ends.py",
        "hosts/test_stackful_finalizers.py",
        "hosts/test_stackful_manual.py",
        "hosts/test_stackful_memory.py",
        "hosts/test_stackful_resume.py",
        "hosts/test_stackful_state.py",
    ]

# Ends with CPython 3.11.7: there all calls of ast.parse share one counter of depth (gh-106905). A finaliser that the
# collector runs meanwhile may format a traceback, which parses, too; then the outer call raises SystemError for a tree
# that is in order. Lints parse the whole project, so some run would meet it.
if sys.version_info < (3, 11, 8):
    parse = ast.parse

    def parse_undisturbed(*args: Any, **options: Any) -> Any:
        """``ast.parse`` with the collector at rest."""
        was_on = gc.isenabled()
        gc.disable()
        try:
            return parse(*args, **options)
        finally:
            if was_on:
                gc.enable()

    ast.parse = parse_undisturbed


# Whoever starts the tests in the background, or behind nohup, has these ignored, and children would inherit that. Tests
# about Ctrl-C, and programs that they start, need what a terminal gives.
AT_A_TERMINAL: dict[int, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGQUIT: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
    signal.SIGTERM: signal.SIG_DFL,
}
for signum, usual in AT_A_TERMINAL.items():
    if signal.getsignal(signum) is signal.SIG_IGN:
        signal.signal(signum, usual)


@pytest.fixture
def on_reference() -> Iterator[None]:
    """Channels of the reference engine, whichever is in use: for tests that look or reach into it."""
    from kcoro_core.testing.laws.links import using_setting

    with using_setting("engine", "reference"):
        yield


def refuse_skip(report: Report) -> Report:
    """Turn a skip into a failure that tells the reason; an expected failure stays what it is."""
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"KCORO_NO_SKIPS=1 refuses this skip: {reason}"
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The usual limit is for tests of seconds; a campaign that names no limit of its own has half an hour."""
    for item in items:
        if item.get_closest_marker("long") is not None and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(1800))


class RefuseSkips:
    """A plugin and not hooks of this file: those would not reach the kit, whose tests lie in an installed package."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """A skipped test."""
        return refuse_skip((yield))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """A file that skips as a whole."""
        return refuse_skip((yield))


def pytest_configure(config: pytest.Config) -> None:
    """Skips are refused only where this is asked for."""
    if os.environ.get("KCORO_NO_SKIPS") == "1":
        config.pluginmanager.register(RefuseSkips())
