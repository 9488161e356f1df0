"""A database as a tied Markov chain of noisy marginals: persons first, then every row given the one before it.

slots.py      the tables that are learned: persons with their numbers of rows; rows with their parent and predecessor
weighted.py   rows of persons as codes, counted by weight
chain.py      rows drawn one after the other from one graphical model over [parent, position, previous row, row]
recipe.py     the recipe: a method over marginals, once for every table, within one budget
fitted.py     what is released: one graphical model for each table; persons drawn with all their rows
"""

from dpsynth.models.database.recipe import DatabaseSynthesizer

__all__ = ["DatabaseSynthesizer"]
