# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The picture of what small messages take on a line that loses packets, from the figures of the benchmark.

    python bench/run.py netns --rounds 5 --json > docs/_tools/loss.json
    python docs/_tools/loss_plot.py

Plain text and no library: bars for three percentiles of each transport, in three weathers, with the interval of the
rounds as a line. The same figures give the same file.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

FIGURES = Path(__file__).with_name("loss.json")
PICTURE = Path(__file__).resolve().parents[1] / "_static" / "loss.svg"
SCHEMES = {"tls": "#b5651d", "quic": "#2a6f97"}
ROW = re.compile(r"(?P<weather>.*): (?P<share>\d+) % over (?P<scheme>\w+):, ms")

LEFT, TOP, HEIGHT, BAR, GAP, BETWEEN = 50, 46, 220, 20, 14, 40


def bars(document: dict[str, Any]) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """By weather, percentile and scheme: median, low and high in milliseconds."""
    found: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for row in document["suites"]["netns"]:
        if (of := ROW.fullmatch(row["name"])) is not None:
            found.setdefault(of["weather"], {}).setdefault(of["share"], {})[of["scheme"]] = row["ratio"]
    return found


def text(x: float, y: float, said: str, anchor: str = "middle", size: int = 11) -> str:
    """A word at a place."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{said}</text>'


def axis(top: float, width: float) -> list[str]:
    """A line and a number for every ten milliseconds."""
    drawn = []
    for value in range(0, int(top) + 1, 10):
        y = TOP + HEIGHT * (1 - value / top)
        drawn.append(f'<line x1="{LEFT}" x2="{width:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        drawn.append(text(LEFT - 6, y + 4, str(value), "end"))
    return drawn


def bar(x: float, top: float, scheme: str, ratio: dict[str, float]) -> list[str]:
    """One bar with its interval."""
    y, low, high = (TOP + HEIGHT * (1 - ratio[name] / top) for name in ("median", "low", "high"))
    middle = x + BAR / 2
    return [
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{BAR}" height="{TOP + HEIGHT - y:.1f}" fill="{SCHEMES[scheme]}"/>',
        f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="#222"/>',
    ]


def svg(document: dict[str, Any]) -> str:
    """The whole picture."""
    found = bars(document)
    ratios = [ratio for shares in found.values() for schemes in shares.values() for ratio in schemes.values()]
    top = -(-max(ratio["high"] for ratio in ratios) // 10) * 10
    drawn, x = [], float(LEFT + BETWEEN / 2)
    for weather, shares in found.items():
        start = x
        for share, schemes in shares.items():
            drawn.append(text(x + BAR, TOP + HEIGHT + 15, f"{share} %"))
            for scheme in SCHEMES:
                drawn += bar(x, top, scheme, schemes[scheme])
                x += BAR
            x += GAP
        drawn.append(text((start + x - GAP) / 2, TOP + HEIGHT + 33, weather))
        x += BETWEEN
    width = x - BETWEEN / 2
    legend = []
    for i, (scheme, colour) in enumerate(SCHEMES.items()):
        at = LEFT + 340 + 60 * i
        legend.append(f'<rect x="{at}" y="12" width="11" height="11" fill="{colour}"/>')
        legend.append(text(at + 16, 22, f"{scheme}:", "start"))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{TOP + HEIGHT + 44}"'
    title = text(LEFT, 22, "Round trip of a small message beside bulk, ms", "start", 13)
    paper = '<rect width="100%" height="100%" fill="#fff"/>'
    lines = [
        f'{head} font-family="sans-serif" fill="#222">',
        paper,
        *axis(top, width),
        title,
        *legend,
        *drawn,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Draw it anew."""
    PICTURE.write_text(svg(json.loads(FIGURES.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
