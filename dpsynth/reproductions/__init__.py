"""Formats, flags and scores of the systems that this library reproduces: DataLens, DP-MAF, Private Evolution."""
