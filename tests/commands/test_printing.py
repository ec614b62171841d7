"""What is printed: the user's own text as it is, lines whole where nobody looks, help without a command."""

import re

import pytest
import yaml

from tests.support.processes import REPOSITORY, call_cli, run_cli
from tests.sweep.conftest import SPEC

ODD = "[/x] [bold]b :smile: " + "long " * 40


def test_the_users_text_is_printed_as_it_is(tmp_path):
    space = {**SPEC["space"], "norm.affine": {"type": "choice", "values": ["pointwise", "depthwise"]}}
    (tmp_path / "odd.yaml").write_text(yaml.safe_dump({**SPEC, "space": space, "description": ODD}))
    done = call_cli(["validate", "odd.yaml", "--set", f"objective.metric={'val_loss'}"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first = done.stderr.splitlines()[0]
    assert first.rstrip() == f"small  {ODD}".rstrip()


def test_help_without_a_command(tmp_path):
    done = run_cli([], cwd=tmp_path)
    assert done.returncode == 0
    assert "Commands:" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "ubn_sweep" / "commands").glob("*.py")), ids=lambda path: path.name
)
def test_no_markup_is_written(path):
    """The console knows none, since the user's own text may look like it: `say` and `warn` take styles apart."""
    assert not re.search(r"\[/?(bold|yellow|dim|green|red)\]", path.read_text())
