"""Images with any number of labels each: what each trial of a sweep does. A spec names it as

    task: trainables.multi_label:MultiLabel

Its data set gives labels as rows of 0 and 1 (docs/datasets.md). `MultiLabelClassification` says all the rest.
"""

from ubn_sweep.training.classification.multi_label import MultiLabelClassification


class MultiLabel(MultiLabelClassification):
    """Trains epoch by epoch and reports each one's validation; the objective is the mean average precision."""
