"""Best configs as files, and their final training."""

from ubn_sweep.export.configs import export_configs

__all__ = ["export_configs"]
