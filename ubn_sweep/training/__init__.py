"""One training run: plain PyTorch, which needs no Ray. Importing this package imports no torch."""

CHECKPOINT_FILE = "training.pt"
"""What TrainingRun.save writes into a folder."""
VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"
"""In the environment: empty for processes that are to see no GPU."""
