"""The proof that a run which was saved goes on as one that was not: the same metrics and weights, bit for bit."""

from pathlib import Path

from tests.training.test_resume import untimed
from tests.training.test_run import same, weights
from ubn_sweep.training.classification.config import ClassificationConfig
from ubn_sweep.training.classification.run import TrainingRun


def goes_on_bit_for_bit(config: ClassificationConfig, out: Path) -> TrainingRun:
    """Saves a run after its first epoch in `out`, and compares its second with that of one which was never stopped."""
    whole, first, second = (TrainingRun(config) for _ in range(3))
    expected = [untimed(whole.train_epoch()) for _ in range(2)]
    first.train_epoch()
    first.save(out)
    second.load(out)
    assert untimed(second.train_epoch()) == expected[1]
    assert same(weights(whole), weights(second))
    return second
