"""What people read after an evaluation: a one-page report, and tables for terminal and papers. Private output."""

from dpsynth.report.page import Page
from dpsynth.report.verdict import Verdict, verdict
from dpsynth.report.wording import absences, scores_table

__all__ = ["Page", "Verdict", "absences", "scores_table", "verdict"]
