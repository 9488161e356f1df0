"""Mechanisms: what is released of private rows, each with the proof of its sensitivity."""
