"""Every change to guidelines, sessions and labels, by operation."""
