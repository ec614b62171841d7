"""Figures as inline SVG that follows the page's colours, and as PNG."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping

from matplotlib.figure import Figure

from ubn_sweep.landscape.figures.style import (
    BAND,
    BLUE,
    GREEN,
    GRID,
    INK,
    MUTED,
    OF_TRIAL,
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


def as_svg(figure: Figure) -> str:
    """A whole file, the same for equal figures."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return _numbered(buffer.getvalue())


def without_names(text: str) -> str:
    """The same without the links of marks to their trials, which mean something inside of the page alone."""
    return re.sub(rf'<a xlink:href="{OF_TRIAL}\d+"[^>]*>|</a>', "", text)


def with_names(text: str, names: Mapping[int, str], pages: Mapping[int, str]) -> str:
    """An inline SVG whose marks have titles, and are links where the trial has a page; names are escaped here."""

    def opened(found: re.Match[str]) -> str:
        trial = int(found[1])
        title = f"<title>{_escaped(names[trial])}</title>"
        if trial not in pages:
            return f'<a class="mark">{title}'
        address = _escaped(pages[trial])
        return f'<a class="mark" href="{address}" target="_blank" rel="noopener" tabindex="-1">{title}'

    return re.sub(rf'<a href="{OF_TRIAL}(\d+)"[^>]*>', opened, text)


def as_inline_svg(text: str, *, name: str, description: str) -> str:
    """An <svg> element to be put into HTML as it is: no links, no styles of its own, ids that begin with `name`.

    `text` is a whole file; `description` is what screen readers say; it is escaped here.
    """
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\s(xmlns(:\w+)?|version)="[^"]*"', "", text)
    text = text.replace("xlink:href", "href")
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
