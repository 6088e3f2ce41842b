"""Fireworks AI, through its own client."""
