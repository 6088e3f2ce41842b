"""Together AI, through its own client."""
