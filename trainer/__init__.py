"""Teaching the detector, and measuring it. Knows core only."""
