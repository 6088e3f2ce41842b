"""What pages read, each scoped to what the person may see."""
