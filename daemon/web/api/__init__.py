"""The JSON API under /api/v1: views, their schemas, and their answers as JSON (serialize)."""
