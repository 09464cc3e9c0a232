"""Networks, their parts, their checkpoints and their export."""
