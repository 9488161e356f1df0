"""What people read after an evaluation: a one-page report and a table for the terminal. Private output."""

from dpsynth.report.page import render_report, write_report
from dpsynth.report.terminal import scores_table
from dpsynth.report.verdict import Verdict, verdict

__all__ = ["Verdict", "render_report", "scores_table", "verdict", "write_report"]
