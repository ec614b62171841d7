"""Image classification with one network: what each trial of a sweep does. Copy it to change what is trained.

A trainable is a function of one `Trial`. Name yours in a spec as `trainable: my_module:train`, with my_module.py in
the folder from which you start the sweep.
"""

from ubn_sweep.sweep.running.trial import Trial
from ubn_sweep.training.classification.run import TrainingRun


def train(trial: Trial) -> None:
    """Trains the trial's config epoch by epoch and reports each one's validation; early stopping may end it."""
    run = TrainingRun(trial.config, threads=trial.threads)
    trial.resume(run.load)
    go_on = run.epoch < trial.config.training.epochs
    while go_on:
        metrics = run.train_epoch()
        go_on = trial.report(run.epoch, metrics, save=run.save, diverged=run.diverged)
