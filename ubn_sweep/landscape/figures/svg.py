"""Figures as inline SVG that follows the page's colours, and as PNG."""

from __future__ import annotations

import io
import re

from matplotlib.figure import Figure

from ubn_sweep.landscape.figures.style import (
    BAND,
    BLUE,
    GREEN,
    GRID,
    INK,
    MUTED,
    OFF_BAND,
    ORANGE,
    PAPER,
    PURPLE,
)

PNG_DPI = 160
PAGE_COLORS = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    PAPER: "var(--paper)",
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
    GREEN: "var(--green)",
    PURPLE: "var(--purple)",
    BAND: "var(--band)",
    OFF_BAND: "var(--off-band)",
}


def lay_out(figure: Figure) -> None:
    """Places everything once and for all: else each format does it again, for half of the time of a report."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine("none")


def as_png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=PNG_DPI, metadata={"Software": None})
    return buffer.getvalue()


def as_inline_svg(figure: Figure, *, name: str, description: str) -> str:
    """An <svg> element to be put into HTML as it is: no links, no styles of its own, ids that begin with `name`.

    `description` is what screen readers say; it is escaped here.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\s(xmlns(:\w+)?|version)="[^"]*"', "", text)
    text = text.replace("xlink:href", "href")
    text = _numbered(text)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    for color, variable in PAGE_COLORS.items():
        text = text.replace(color, variable)
    text = re.sub(r"font: ([\d.]+px|bold [\d.]+px|[\w ]*?[\d.]+px) [^;\"]*", r"font: \1 var(--sans)", text)
    label = _escaped(description)
    return text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def _numbered(text: str) -> str:
    """Clip paths are named after addresses in memory: numbers in the order of their use make equal pages equal."""
    hashed = dict.fromkeys(re.findall(r'(?:id="|url\(#|href="#)([a-zA-Z][0-9a-f]{10})\b', text))
    for number, identifier in enumerate(hashed):
        text = text.replace(identifier, f"part{number}")
    return text


def _escaped(text: str) -> str:
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(char, entity)
    return text
