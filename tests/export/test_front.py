"""The front of two objectives as files: each config with what is promised of both."""

import pytest
import yaml

from tests.support.journals import sweep_events, with_second, write_sweep
from ubn_sweep import schema
from ubn_sweep.commands.looking import front_of
from ubn_sweep.export import export_configs
from ubn_sweep.training.classification.config import ClassificationConfig
from ubn_sweep.training.loading import load_config


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The smaller the momentum, the more parameters: many places on the front."""
    events = with_second(
        sweep_events(60, stops=()), "parameters", lambda params: round(1e5 / (0.1 + params["norm.momentum"]))
    )
    return write_sweep(tmp_path_factory.mktemp("front"), events)


def read(path):
    return schema.parse(ClassificationConfig, yaml.safe_load(path.read_text()), source=str(path))


def test_the_whole_front_with_both_promises(folder, tmp_path):
    on_it = front_of(folder)
    paths = export_configs(folder, out=tmp_path / "out")
    configs = [read(path) for path in paths]
    assert [config.provenance.trial for config in configs] == [one["trial"] for one in on_it]
    for config, one in zip(configs, on_it, strict=True):
        assert config.provenance.promised == one["scores"]["val_top1"]
        assert config.provenance.also == {"parameters": one["scores"]["parameters"]}
        assert config.provenance.optimism is None
    head = paths[-1].read_text().splitlines()[:2]
    assert head[0].startswith(
        f"# One of {len(on_it)} configs on the front of validation accuracy and trained parameters, of 60 that were"
    )
    last = on_it[-1]["scores"]
    assert (
        f"accuracy {last['val_top1']:.2%} and trained parameters {last['parameters']:,.0f} after" in head[1]
    )


def test_fewer_are_spread_over_it_and_more_go_behind(folder, tmp_path):
    on_it = [one["trial"] for one in front_of(folder)]
    assert len(on_it) > 4
    ends = [read(path).provenance.trial for path in export_configs(folder, top=2, out=tmp_path / "two")]
    assert ends == [on_it[0], on_it[-1]]
    three = [read(path).provenance.trial for path in export_configs(folder, top=3, out=tmp_path / "three")]
    assert [on_it[0], on_it[-1]] == [three[0], three[-1]]
    assert three[1] in on_it
    paths = export_configs(folder, top=len(on_it) + 2, out=tmp_path / "more")
    assert [read(path).provenance.trial for path in paths][: len(on_it)] == on_it
    assert "# Behind the front of" in paths[-1].read_text()


def test_the_promise_is_the_first_metric_whatever_the_objectives(tmp_path):
    events = with_second(sweep_events(20, metric="val_loss"), "epoch_s", lambda params: 2.0)
    (path,) = export_configs(write_sweep(tmp_path, events), top=1, out=tmp_path / "out")
    provenance = read(path).provenance
    assert provenance.metric == "val_top1"
    assert set(provenance.also) == {"val_loss", "epoch_s"}


def test_a_changed_config_promises_neither(folder, tmp_path):
    (path,) = export_configs(folder, top=1, out=tmp_path / "out")
    changed = load_config(path, ["optimizer.lr=0.5"])[1].provenance
    assert changed.promised is None
    assert changed.also == {}
