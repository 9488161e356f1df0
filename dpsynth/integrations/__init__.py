"""Adapters to other projects: none of them is needed, and nothing here is imported before it is asked for."""
