"""The JSON API under /api/v1: views, what they take in (schemas), what they answer (serialize)."""
