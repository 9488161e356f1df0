"""Labelled images: what is public about them, their files, and the images themselves."""
