"""Synthetic mammograms: anatomy, masses, acquisition, and the files they are written to."""
