"""From a mammogram to its masses, with a checkpoint or an exported bundle."""
