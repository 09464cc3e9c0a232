"""From a checkpoint and a data set to scores with their uncertainty."""
