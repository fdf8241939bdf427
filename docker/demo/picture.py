#!/usr/bin/env python3
"""Draws the output of `tributary demo --once` as docker/demo/waterfall.svg: `picture.py [PROGRAM]`.

Without PROGRAM it builds this repository's `tributary` and runs it. Text stays text, on the terminal's grid of columns
and lines. Runs of block characters become rectangles, so that no font leaves gaps in a bar.
"""

import os
import re
import subprocess
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = 100
# One cell of the grid, in pixels, and the margin around the picture.
WIDE, HIGH, MARGIN, TITLE = 8.4, 19, 22, 34

INK = {"": "#d6deeb", "1": "#ffffff", "2": "#7f8ca3", "33": "#f2b84b", "32": "#5fc48f"}
PAPER, FRAME, PROMPT = "#171c26", "#2a3242", "#82aaff"


def demo(program):
    """The demo's output, with colours."""
    command = [program] if program else ["cargo", "run", "--quiet", "--"]
    command += ["demo", "--once", "--port", "0", "--color", "always"]
    env = os.environ | {"COLUMNS": str(COLUMNS)}
    run = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, check=True, text=True)
    return run.stdout.rstrip("\n").split("\n")


def runs(line):
    """Splits a line into runs of characters with the same style: (column, style, text)."""
    column, style = 0, ""
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if part.startswith("\x1b"):
            style = part[2:-1].lstrip("0")
            continue
        for run in re.findall(r"█+|░+|·+(?=\x1b|$)|[─┬]+| {2,}|(?:(?![█░─┬]|  ).)+", part):
            if run.strip():
                # SVG removes leading spaces from a text.
                text = run.lstrip(" ")
                yield column + len(run) - len(text), style, text
            column += len(run)


def draw(column, row, style, run):
    x, y, width = MARGIN + column * WIDE, TITLE + MARGIN + row * HIGH, len(run) * WIDE
    ink = INK.get(style, INK[""])
    middle = y + HIGH / 2
    if run[0] == "█":
        yield f'<rect x="{x:.1f}" y="{y + 3:.1f}" width="{width:.1f}" height="{HIGH - 6}" rx="2" fill="{ink}"/>'
    elif run[0] == "░":
        yield f'<rect x="{x:.1f}" y="{y + 3:.1f}" width="{width:.1f}" height="{HIGH - 6}" rx="2" fill="{ink}" opacity=".22"/>'
    elif set(run) == {"·"} and len(run) > 1:
        yield f'<path d="M{x:.1f} {middle}h{width:.1f}" stroke="{ink}" stroke-dasharray="2 6.4"/>'
    elif run[0] in "─┬":
        yield f'<path d="M{x:.1f} {middle}h{width:.1f}" stroke="{ink}" opacity=".6"/>'
        for at, tick in enumerate(run):
            if tick == "┬":
                yield f'<path d="M{x + (at + .5) * WIDE:.1f} {middle}v5" stroke="{ink}" opacity=".6"/>'
    else:
        text = run.rstrip()
        weight = ' font-weight="bold"' if style == "1" else ""
        yield (
            f'<text x="{x:.1f}" y="{y + HIGH - 5:.1f}" fill="{ink}"{weight} '
            f'textLength="{len(text) * WIDE:.1f}" lengthAdjust="spacingAndGlyphs">{escape(text)}</text>'
        )


def picture(lines):
    width = 2 * MARGIN + COLUMNS * WIDE
    height = TITLE + 2 * MARGIN + len(lines) * HIGH
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        'font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="14">'
    )
    yield "<title>tributary demo: one lookup at a time, and all at once</title>"
    yield f'<rect width="{width:.0f}" height="{height:.0f}" rx="10" fill="{PAPER}"/>'
    yield f'<path d="M0 {TITLE}V10a10 10 0 0 1 10-10H{width - 10:.0f}a10 10 0 0 1 10 10V{TITLE}z" fill="{FRAME}"/>'
    yield f'<text x="{MARGIN}" y="{TITLE - 12}" fill="{PROMPT}">$ tributary demo --once</text>'
    for row, line in enumerate(lines):
        for column, style, run in runs(line):
            yield from draw(column, row, style, run)
    yield "</svg>"


def main():
    lines = demo(sys.argv[1] if len(sys.argv) > 1 else None)
    out = ROOT / "docker/demo/waterfall.svg"
    out.write_text("\n".join(picture(lines)) + "\n", encoding="utf-8")
    print(out)


if __name__ == "__main__":
    main()
