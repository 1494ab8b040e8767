"""Training and evaluating the detector. Depends on core only."""
