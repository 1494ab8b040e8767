"""The daemon beside the user, its clients, and the command `antifake`.

`app` puts the daemon's parts together; docs/architecture.md shows how they depend on each other.
"""
