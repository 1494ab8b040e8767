"""Changes of the database schema, in the order in which Alembic applies them.

To change a table, add a file to versions/ and set `HEAD` in store/opening.py to its revision.
"""
