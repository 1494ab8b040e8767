"""How the database came to look as it does; alembic reads this folder.

A change of the tables is a new file in versions/ and the new `HEAD` in store/opening.py.
"""
