"""`dpsynth ui`: the way from a file to a release on a local web page, for people who do not program.

`server.py` starts it, `page.py` is what the browser shows, one function for each step; `workspace.py` says where things
lie, `schema_grid.py` makes a schema a table to edit, and `background_command.py` runs the commands that take time.
"""
