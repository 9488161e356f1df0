"""auto: the method for a table, chosen from public facts; what methods will be worth, and when noise exceeds signal."""

from dpsynth.models.auto.recipe import Auto

__all__ = ["Auto"]
