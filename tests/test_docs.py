"""The documentation does what it says: its code is run as it stands, its links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torchvision
from PIL import Image

from tests.support.journals import sweep_events, write_sweep
from tests.support.processes import REPOSITORY, call_cli
from ubn_sweep.records.journal import stream
from ubn_sweep.records.observations import write_observations

PAGES = sorted(
    [*(REPOSITORY / "docs").glob("*.md"), REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md"]
)
RUN_ELSEWHERE = {
    "api.md": "tests/test_api.py",
    "datasets.md": "tests/training/test_own_datasets.py",
    "models.md": "tests/training/test_own_models.py",
}
"""Pages whose Python code other tests run."""


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), flags=re.DOTALL)


def test_all_python_code_is_run_by_some_test():
    mine = {"README.md", "table.md", "layer.md"}
    assert {page.name for page in PAGES if blocks(page, "python")} <= mine | set(RUN_ELSEWHERE)
    for page, test in RUN_ELSEWHERE.items():
        assert page in (REPOSITORY / test).read_text(), test


@pytest.mark.parametrize("page", ["README.md", "docs/layer.md"])
def test_the_layers_code(page):
    names = {"model": torchvision.models.resnet18(), "torch": __import__("torch")}
    for block in blocks(REPOSITORY / page, "python"):
        exec(compile(block, page, "exec"), names)


def test_the_tables_code(tmp_path, monkeypatch, capsys):
    folder = write_sweep(tmp_path / "sweeps", sweep_events(30))
    write_observations(stream(folder.path), folder.observations)
    folder.path.rename(tmp_path / "sweeps" / "quickstart")
    monkeypatch.chdir(tmp_path)
    (code,) = blocks(REPOSITORY / "docs" / "table.md", "python")
    exec(compile(code, "docs/table.md", "exec"), {})
    told = capsys.readouterr().out
    assert "params.norm.threshold" in told
    assert "count" in told


def test_the_table_lists_every_column(tmp_path):
    import pyarrow.parquet as pq

    folder = write_sweep(tmp_path, sweep_events(8))
    write_observations(stream(folder.path), folder.observations)
    listed = set(re.findall(r"`([\w.]+)`", (REPOSITORY / "docs" / "table.md").read_text()))
    plain = {name for name in pq.read_schema(folder.observations).names if "." not in name}
    assert plain <= listed


@pytest.fixture
def project(tmp_path):
    """A user's folder: three classes of small images, and the spec of docs/start.md."""
    dice = np.random.default_rng(0)
    for part, images in (("train", 12), ("test", 3)):
        for place, name in enumerate(("cat", "dog", "owl")):
            folder = tmp_path / "images" / part / name
            folder.mkdir(parents=True)
            for number in range(images):
                pixels = dice.integers(0, 120, (32, 32, 3)) + 60 * place
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:03d}.png")
    (spec,) = blocks(REPOSITORY / "docs" / "start.md", "yaml")
    (tmp_path / "mine.yaml").write_text(spec)
    (tmp_path / "search_spaces").symlink_to(REPOSITORY / "search_spaces")
    return tmp_path


def test_the_first_hours_spec_is_valid_and_previewed(project):
    for command in ("validate", "preview"):
        done = call_cli([command, "mine.yaml"], cwd=project)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_first_hour_with_images_of_ones_own(project):
    """The commands of docs/start.md in their order, with a smaller budget."""
    small = ["--set", "search.trials=3", "--set", "training.epochs=2", "--set", "model.name=resnet8"]
    text = (REPOSITORY / "docs" / "start.md").read_text()
    commands = [
        line.split("#")[0].split()[1:] for line in text.splitlines() if re.match(r"ubn-sweep .*mine", line)
    ]
    assert [words[0] for words in commands] == ["validate", "preview", "run", "export", "train"]
    for words in commands:
        if words[0] == "train":
            words[1] = str(next((project / "configs").glob("mine-1-*.yaml")))
        extra = small if words[0] in ("validate", "preview", "run") else []
        alone = ["--executor", "in-process"] if words[0] == "run" else []
        done = call_cli([*words, *extra, *alone], cwd=project)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_site_is_built_with_links_that_lead_somewhere(tmp_path):
    site = tmp_path / "site"
    done = subprocess.run(
        [Path(sys.executable).with_name("properdocs"), "build", "--strict", "--site-dir", site],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {path.name for path in site.rglob("*.html")}
    assert {"index.html", "start.html", "spec.html", "api.html"} <= pages
    assert "https://fonts" not in (site / "index.html").read_text()
