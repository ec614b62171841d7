"""Draws docs/figures/layer.svg: what each pass over the data reads and writes. Run: python docs/figures/layer.py"""

from __future__ import annotations

from pathlib import Path

WIDTH, HEIGHT = 900, 430
INK, DATA, SMALL = "#1f2933", "#2f6db5", "#c8741a"

Box = tuple[int, int, int, str, str]

BOXES: list[Box] = [
    (30, 70, 120, "x", DATA),
    (235, 40, 220, "m, v  (N, C): moments of x", SMALL),
    (235, 100, 220, "u = Σ xᵢ/|xᵢ| → c(x)", SMALL),
    (520, 40, 170, "mean, var  (C,)", SMALL),
    (520, 100, 170, "s > threshold?", SMALL),
    (235, 165, 455, "scale, shift  (N, C):  y = scale·(x − m) + shift", SMALL),
    (750, 165, 120, "y", DATA),
    (750, 285, 120, "g", DATA),
    (375, 285, 315, "S = Σ g,  D = Σ g·(x − m)   (N, C)", SMALL),
    (375, 345, 315, "B1, B2 (C,),  Q (N, C): closed form", SMALL),
    (30, 315, 200, "gx: one pass over g and x", DATA),
]
ARROWS = [
    ((150, 82), (235, 57)),
    ((150, 92), (235, 117)),
    ((455, 57), (520, 57)),
    ((455, 117), (520, 117)),
    ((605, 100), (605, 74)),
    ((605, 134), (605, 165)),
    ((90, 104), (235, 182)),
    ((690, 182), (750, 182)),
    ((750, 302), (690, 302)),
    ((532, 319), (532, 345)),
    ((375, 362), (230, 332)),
]


def box(x: int, y: int, width: int, text: str, color: str) -> str:
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="34" rx="5" fill="white" stroke="{color}" stroke-width="2"/>'
        f'<text x="{x + width / 2}" y="{y + 22}" text-anchor="middle">{text}</text>'
    )


def arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    (x1, y1), (x2, y2) = start, end
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{INK}" marker-end="url(#tip)"/>'


def label(x: int, y: int, text: str, color: str = INK) -> str:
    return f'<text x="{x}" y="{y}" fill="{color}">{text}</text>'


def figure() -> str:
    parts = [box(*b) for b in BOXES] + [arrow(*a) for a in ARROWS]
    parts += [
        label(30, 24, "forward: x is read for the moments, for u, and for y; y is written"),
        label(
            30,
            262,
            "backward: x and g (the gradient by y) are read for two sums, and again for gx (by x), which is written",
        ),
        label(30, 415, "blue: (N, C, H, W)", DATA),
        label(190, 415, "orange: as small as (N, C)", SMALL),
    ]
    tip = (
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0 8 4 0 8z" fill="{INK}"/></marker>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="14" fill="{INK}"><rect width="100%" height="100%" fill="white"/><defs>{tip}</defs>'
        + "\n".join(parts)
        + "</svg>\n"
    )


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(figure(), encoding="utf-8")
