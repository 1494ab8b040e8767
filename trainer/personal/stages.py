"""The stages of a retraining, in their order: the names of its progress, and what people read."""

STAGES = {
    # Told by the daemon, before this process has begun.
    "words": "Gathering your pictures",
    "features": "Looking at your pictures",
    "bias": "Trying to move the line between real and AI-made",
    "calibration": "Trying to move the line, and how sure it is",
    "word": "Trying to learn more of what AI-made pictures look like",
    "verdicts": "Comparing with earlier verdicts",
}
