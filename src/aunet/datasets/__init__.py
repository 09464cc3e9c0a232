"""Data sets as they are on disk, their splits, and what was repaired or refused."""
