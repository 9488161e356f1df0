"""Graphical models fitted to noisy marginals."""
