"""Image classification: what each trial of a sweep does. Copy it to change how a trial trains.

Name yours in a spec as `task: my_module:Classification`, with my_module.py beside the spec or in the folder from which
you start the sweep. `ImageClassification` says all the rest: the config, the metrics, the data, the final training.
"""

from ubn_sweep.training.classification.task import ImageClassification
from ubn_sweep.training.trial import Trial


class Classification(ImageClassification):
    """Trains the trial's config epoch by epoch and reports each one's validation; early stopping may end it."""

    def train(self, trial: Trial) -> None:
        run = self.start(trial.config, threads=trial.threads)
        trial.resume(run.load)
        go_on = run.epoch < trial.config.training.epochs
        while go_on:
            metrics = run.train_epoch()
            go_on = trial.report(
                run.epoch, metrics, save=run.save, diverged=run.diverged, correct=run.correct
            )
