"""Runs that put several stages together."""
