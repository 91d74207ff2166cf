# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The picture of lossy lines is drawn from the figures that are kept beside it."""

from __future__ import annotations

import copy
import json
from xml.etree import ElementTree as ET

from .blocks import DOCS
from .tools import load

plot = load("loss_plot")
FIGURES = json.loads(plot.FIGURES.read_text())


def test_the_picture_is_that_of_the_figures() -> None:
    """``python docs/_tools/loss_plot.py`` draws it anew."""
    assert plot.PICTURE.read_text() == plot.svg(FIGURES)
    assert plot.PICTURE.is_relative_to(DOCS)


def test_there_is_a_bar_for_each_percentile_of_each_transport() -> None:
    found = plot.bars(FIGURES)
    assert [list(shares) for shares in found.values()] == [["50", "90", "99"]] * 3
    colours = [element.get("fill") for element in ET.fromstring(plot.svg(FIGURES)).iter()]  # noqa: S314 - ours
    for colour in plot.SCHEMES.values():
        assert colours.count(colour) == 9 + 1  # and in the legend


def test_other_figures_are_another_picture() -> None:
    other = copy.deepcopy(FIGURES)
    next(row for row in other["suites"]["netns"] if "99 % over quic:" in row["name"])["ratio"]["median"] *= 1.5
    assert plot.svg(other) != plot.svg(FIGURES)
