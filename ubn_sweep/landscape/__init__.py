"""What a sweep found: numbers first, then figures and one report."""

from ubn_sweep.landscape.report import LandscapeReport, build_report

__all__ = ["LandscapeReport", "build_report"]
