"""One file for each engine that runs a network."""
