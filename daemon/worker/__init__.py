"""Judges pictures: a queue, one worker, and one process that runs the model."""
