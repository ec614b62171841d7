"""What every report must hold, whatever became of its sweep."""

import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

from ubn_sweep.landscape.figures import FIGURES

PNG = b"\x89PNG\r\n\x1a\n"


class Links(HTMLParser):
    """What a browser would fetch."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("src", "href", "srcset", "data") and value]


def check(report):
    """That the page stands alone and says something of every figure; returns its text."""
    text = report.html.read_text()
    root = ET.fromstring(text.replace("<!DOCTYPE html>", ""))
    links = Links()
    links.feed(text)
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links.found)
    assert Path(__file__).parents[2].joinpath("ubn_sweep", "landscape", "page.js").read_text() in text
    assert not re.search(r"https?://|@import|url\((?!#)", text)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    named = {link[1:] for link in links.found if link.startswith("#")}
    assert named <= set(ids)
    scripts = [(element.get("type"), len(element.attrib)) for element in root.iter("script")]
    assert scripts in ([("application/json", 1), (None, 0)], [(None, 0)])  # the page's own, and data for it
    for svg in root.iter("svg"):
        assert svg.get("role") == "img"
        assert len(svg.get("aria-label")) > 40
    names = [path.stem for path in report.figures]
    assert names == [entry.name for entry in FIGURES if entry.name in names]
    sections = {section.get("aria-labelledby"): section for section in root.iter("section")}
    for name in names:
        title, finding, caption = (
            sections[f"{name}-title"].find(f".//{tag}") for tag in ("h2", "p", "figcaption")
        )
        assert all(element.text.strip() for element in (title, finding, caption))
        assert sections[f"{name}-title"].find(".//svg") is not None
    for path in report.figures:
        content = path.read_bytes()
        assert content.startswith(PNG)
        assert len(content) > 4000
    json.loads(report.numbers.read_text())
    assert not list(report.html.parent.rglob("*.tmp"))
    assert all(path.is_file() for path in report.artifacts)
    return text
