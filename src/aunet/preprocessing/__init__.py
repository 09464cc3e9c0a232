"""From a mammogram's pixels to the network's input, and back to the source pixels."""
