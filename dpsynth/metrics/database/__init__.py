"""Scores of databases: how rows belong to persons, follow one another and add up."""
