"""Budgets, events, and the accountants that prove what a run costs."""
