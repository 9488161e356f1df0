"""DP-SGD: batches, per-row clipped gradient sums by several engines, and their noisy release."""
