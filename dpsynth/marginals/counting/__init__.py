"""Exact counts of many marginals at once: in memory, out of core, on many machines."""
