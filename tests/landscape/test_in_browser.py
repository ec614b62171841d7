"""What the page's script does, in a real browser: Debian's Chromium, where it is installed."""

import re
import shutil
import subprocess

import pytest

from tests.landscape.pages import PNG
from tests.support.journals import hill, sweep_events, write_sweep
from ubn_sweep.landscape import build_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.usefixtures("few_resamples"),
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
]
ACTIONS = """
const slider = document.querySelector('#epoch');
slider.value = 0;
slider.dispatchEvent(new Event('input'));
const figure = document.querySelector('[aria-labelledby="threshold-title"] figure');
figure.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }));
figure.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }));
document.body.dataset.narrow = document.documentElement.scrollWidth;
"""


def dom(page, width):
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},2000"]
    done = subprocess.run(
        [*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = write_sweep(tmp_path_factory.mktemp("home"), sweep_events(24, truth=hill))
    return lambda: build_report(folder, pages={3: "http://mlflow.example/#/experiments/1/runs/a?b&c"})


def test_the_slider_and_the_arrow_keys_tell(report, tmp_path):
    html = report().html.read_text()
    page = tmp_path / "page.html"
    page.write_text(html.replace("</body>", f"<script>{ACTIONS}</script></body>"))
    found = dom(page, 500)
    assert re.search(r'<output for="epoch">Epoch 1: 24 trials, median \d', found)
    assert re.search(r'id="course-epoch-line">\s*<path[^>]* transform="translate\(-\d', found)
    inside = re.search(r'aria-labelledby="threshold-title">.*?</section>', found, re.DOTALL)[0]
    told = re.search(r'<p class="told" role="status">(.*?)</p>', inside)[1]
    assert re.match(r"trial \d+(, | \()", told)
    assert "norm.threshold" in told
    assert 'class="mark at"' in inside
    assert 'href="http://mlflow.example/#/experiments/1/runs/a?b&amp;c"' in inside
    assert int(re.search(r'data-narrow="(\d+)"', found)[1]) <= 500  # nothing reaches beyond the screen


def test_without_a_script_it_stands(report, tmp_path):
    html, picture = report().html, tmp_path / "page.png"
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--blink-settings=scriptEnabled=false",
    ]
    command += [f"--screenshot={picture}", html.as_uri()]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    assert picture.read_bytes().startswith(PNG)
    text = html.read_text()
    assert '<div class="epochs" hidden="hidden">' in text  # a slider that would do nothing is not shown
    assert len(re.findall(r"<title>trial \d", text)) > 24
