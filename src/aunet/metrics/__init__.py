"""Measures of a predicted mask against a reference mask."""
