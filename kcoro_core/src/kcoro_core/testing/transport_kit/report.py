# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Results as JUnit XML, for whatever collects test reports."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

from .case import Result

__all__ = ["write_junit"]


def write_junit(path: Path, subject: str, results: Iterable[Result]) -> None:
    """Write one test suite named ``subject``; overwrites ``path``."""
    results = list(results)
    suite = ET.Element(
        "testsuite",
        name=subject,
        tests=str(len(results)),
        failures=str(sum(result.state == "failed" for result in results)),
        skipped=str(sum(result.state == "does not apply" for result in results)),
        time=f"{sum(result.seconds for result in results):.3f}",
    )
    for result in results:
        _add(suite, subject, result)
    ET.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def _add(suite: ET.Element, subject: str, result: Result) -> None:
    name = f"{result.number} {result.title}"
    element = ET.SubElement(suite, "testcase", classname=subject, name=name, time=f"{result.seconds:.3f}")
    if result.state == "failed":
        ET.SubElement(element, "failure", message=result.text)
    elif result.state == "advised":
        ET.SubElement(element, "system-out").text = f"advice: {result.text}"
    elif result.state == "does not apply":
        ET.SubElement(element, "skipped", message=result.text)
