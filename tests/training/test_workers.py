"""Several workers train one network as one would on the joint batch: real processes, whole training steps."""

import dataclasses
import itertools
import json
import math
import os
import subprocess
import sys

import pytest
import torch
import yaml

from tests.nn.processes import end_processes, run_together
from tests.training.builders import tiny_config
from tests.training.test_resume import untimed
from tests.training.test_run import same, weights
from trainables.table_regression import TableConfig, TableRegression
from ubn_sweep import schema
from ubn_sweep.errors import UserError
from ubn_sweep.files import write_text
from ubn_sweep.training.classification.run import TrainingRun
from ubn_sweep.training.config import NormConfig, OptimizerConfig, TrainingConfig
from ubn_sweep.training.data.images import batch_ends
from ubn_sweep.training.data.shared import evaluation_batches, training_batches
from ubn_sweep.training.share import WHOLE, Share
from ubn_sweep.training.stored_checkpoints import checkpoints_at
from ubn_sweep.training.trial import FollowingTrial

UBN = {"name": "ubn", "threshold": 0.3}
SOME = {"train_examples": 197, "augmentation": "crop_flip"}
"""147 to train on: the last joint batch of 32 has 19, which two workers cannot halve."""
STEPS = {"epochs": 2, "accumulate": 2, "clip_norm": 0.5, "ema_decay": 0.5}
SLOW_STEPS = {"lr": 0.02}


@pytest.fixture(scope="module", autouse=True)
def _no_process_is_left():
    yield
    end_processes()


def config_of(batch_size, *, norm, training=STEPS, optimizer=SLOW_STEPS):
    training = {**training, "batch_size": batch_size}
    return tiny_config(norm=norm, training=training, optimizer=optimizer, dataset=SOME)


def trained(rank, configs, epochs=2):
    """Of each config: the metrics of each epoch, what was right, and the state at the end."""
    found = []
    for config in configs:
        run = TrainingRun(config)
        metrics = [untimed(run.train_epoch()) for _ in range(epochs)]
        found.append((metrics, run.correct.tolist() if run.correct is not None else None, weights(run)))
    return found


def of_a_table(rank, configs):
    """The same of a task of one network, whose optimizer is its own."""
    found = []
    for config in configs:
        run = TableRegression().start(config)
        metrics = [run.train_epoch() for _ in range(3)]
        found.append((metrics, None, list(run.network.state_dict().values())))
    return found


def saved_and_resumed(rank, config, folder):
    whole = TrainingRun(config)
    expected = [untimed(whole.train_epoch()) for _ in range(2)]
    first = TrainingRun(config)
    metrics = [untimed(first.train_epoch())]
    if rank == 0:
        first.save(folder)
    torch.distributed.barrier()
    second = TrainingRun(config)
    second.load(folder)
    metrics.append(untimed(second.train_epoch()))
    return metrics == expected, same(weights(whole), weights(second))


def diverged(rank, config):
    run = TrainingRun(config)
    metrics = run.train_epoch()
    return run.diverged, run.epoch, math.isnan(metrics["val_top1"])


def close(one, two, tolerance):
    pairs = zip(one, two, strict=True)
    return all(torch.allclose(a.double(), b.double(), atol=tolerance, rtol=tolerance) for a, b in pairs)


@pytest.mark.slow
def test_with_synchronized_statistics_two_workers_are_one_on_the_joint_batch():
    norms = [{**UBN, "synchronized": True}, {"name": "bn", "synchronized": True}]
    ranks = run_together(trained, [config_of(16, norm=norm) for norm in norms])
    for place, norm in enumerate(norms):
        alone = trained(0, [config_of(32, norm=norm)])[0]
        first, second = (rank[place] for rank in ranks)
        assert same(first[2], second[2])
        assert close(alone[2], first[2], 2e-5)
        assert first[1] == second[1] == alone[1]
        for mine, theirs in zip(alone[0], first[0], strict=True):
            assert theirs.pop("workers") == 2
            assert theirs.pop("joint_batch_size") == 32
            assert theirs == pytest.approx(mine, rel=1e-4, abs=1e-5)


def test_with_local_statistics_gates_agree_and_the_first_worker_s_statistics_count():
    (first,), (second,) = run_together(trained, [config_of(16, norm=UBN, optimizer={"lr": 0.1})])
    assert first[0] == second[0]
    assert first[1] == second[1]
    assert same(first[2], second[2])
    opened = [value for name, value in first[0][-1].items() if name.startswith("gate_open/")]
    assert 0 < sum(opened) < len(opened)


def test_a_task_of_one_network_trains_with_several_workers_by_its_batches():
    def config(batch_size, **norm):
        return TableConfig(
            norm=NormConfig(**norm),
            optimizer=OptimizerConfig(lr=0.02),
            training=TrainingConfig(epochs=3, batch_size=batch_size),
        )

    norms = [{"name": "bn", "synchronized": True}, {"synchronized": True, "threshold": 0.1}]
    ranks = run_together(of_a_table, [config(32, **norm) for norm in norms])
    for place, norm in enumerate(norms):
        alone = of_a_table(0, [config(64, **norm)])[0]
        assert same(ranks[0][place][2], ranks[1][place][2])
        assert close(alone[2], ranks[0][place][2], 2e-5)
        assert ranks[0][place][0][-1]["val_rmse"] == pytest.approx(alone[0][-1]["val_rmse"], rel=1e-5)


def test_two_workers_resume_bit_for_bit(tmp_path):
    config = config_of(16, norm=UBN, optimizer={"lr": 0.1})
    assert run_together(saved_and_resumed, config, tmp_path) == [(True, True)] * 2


def test_two_workers_agree_that_they_diverged():
    config = config_of(16, norm=UBN, training={"epochs": 2}, optimizer={"lr": 1e30})
    assert run_together(diverged, config) == [(True, 1, True)] * 2


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_the_shares_are_the_whole_in_order(count):
    shares = [Share(rank=rank, count=count) for rank in range(count)]
    for size in (0, 1, 7, 20):
        items = list(range(size))
        parts = [share.of(items) for share in shares]
        assert list(itertools.chain(*parts)) == items
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    ends = batch_ends(100, 4, shares[0])
    assert all(end - begin >= 2 * count for begin, end in ends)
    assert WHOLE.bounds(9) == (0, 9)


class Unaware:
    """Images of somebody's own, who knows nothing of shares."""

    def __init__(self, images):
        self._images = images

    def __len__(self):
        return len(self._images)

    def shuffled(self, batch_size, *, seed, epoch):
        return self._images.shuffled(batch_size, seed=seed, epoch=epoch)

    def in_order(self, batch_size):
        return self._images.in_order(batch_size)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_images_that_know_nothing_of_shares_are_cut_all_the_same(rank):
    run = TrainingRun(tiny_config(dataset=SOME))
    share = Share(rank=rank, count=3)
    for images in (run._dataset.train, run._dataset.validation):
        for cut in (
            lambda images: training_batches(images, 8, seed=1, epoch=2, share=share),
            lambda images: evaluation_batches(images, 8, share=share),
        ):
            aware, unaware = (
                [torch.cat(part) for part in zip(*cut(one), strict=True)] for one in (images, Unaware(images))
            )
            assert all(torch.equal(*pair) for pair in zip(aware, unaware, strict=True))


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_worker_behind_rank_0_loads_the_checkpoint_that_it_is_told_of(tmp_path, scheme):
    place = f"{scheme}{tmp_path}"
    saved = checkpoints_at(place, "001-01").save(3, lambda folder: write_text(folder / "state", "whole"))
    trial = FollowingTrial(0, None, threads=1, checkpoints=place, hear=lambda: str(saved))
    found = []
    trial.resume(lambda folder: found.append((folder / "state").read_text()))
    assert found == ["whole"]


def test_a_task_says_whether_several_workers_train_it():
    TableRegression().check_workers(4)
    from ubn_sweep.training.finding import find_task

    alone = find_task("tests.support.trainables:train")
    alone.check_workers(1)
    with pytest.raises(UserError, match=r"tests.support.trainables:train` trains in one process, but got 2"):
        alone.check_workers(2)


@pytest.mark.slow
def test_torchrun_trains_one_config_by_two_workers(tmp_path):
    config = config_of(16, norm={**UBN, "synchronized": True})
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(schema.to_plain(config)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [
            *command,
            "-m",
            "ubn_sweep.training",
            str(path),
            "--out",
            str(tmp_path / "run"),
            "--threads",
            "1",
            "--json",
        ],
        env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr.count("epoch 2/2") == 1
    alone = trained(0, [config_of(32, norm={**UBN, "synchronized": True})])[0]
    expected = {**alone[0][-1], "workers": 2, "joint_batch_size": 32}
    assert untimed(result["metrics"]) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    again = TrainingRun(dataclasses.replace(config, training=dataclasses.replace(config.training)))
    again.load(tmp_path / "run")
    assert close(alone[2], weights(again), 2e-5)
