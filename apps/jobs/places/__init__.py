"""Where a version could be trained: a line for every place, with its limits, losses, cost and time."""
