"""Judging pictures: one process owns the model, and whoever waits is served in turn."""
