"""What several methods use: DP-SGD on a network, rows as vectors, a classifier that rejects draws of the wrong
class."""
