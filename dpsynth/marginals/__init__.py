"""Marginals at scale: exact counting of many tables at once, and graphical models fitted to noisy ones."""
