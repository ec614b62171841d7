"""Regret against epochs spent."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

from benchmarks.search.report import Record, mean_and_error, methods_of, of_method

mpl.use("Agg")
import matplotlib.pyplot as plt


def draw(records: Sequence[Record], file: Path, title: str) -> None:
    """One line a method: the mean over problems, with a band of one standard error over seeds."""
    figure, axes = plt.subplots(figsize=(7, 4.2), constrained_layout=True)
    for method in methods_of(records):
        mine = of_method(records, method)
        epochs = np.arange(1, len(mine[0].regrets) + 1) * mine[0].every
        means, errors = np.array([mean_and_error(mine, int(e)) for e in epochs]).T
        (line,) = axes.plot(epochs, means, label=method, linewidth=2.2 if method == "auto" else 1.3)
        axes.fill_between(epochs, means - errors, means + errors, color=line.get_color(), alpha=0.15, lw=0)
    axes.axhline(0, color="grey", linewidth=0.8, linestyle=":")
    axes.set(xlabel="epochs spent by all trials together", ylabel="mean normalised regret", title=title)
    axes.set_xlim(left=0)
    axes.set_ylim(top=1.0)
    axes.legend(frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)
    plt.close(figure)
