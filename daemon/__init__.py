"""What runs beside the user: today, the one command `antifake`."""
