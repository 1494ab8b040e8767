"""One file for each schema change. A released file is never edited."""
