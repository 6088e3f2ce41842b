"""Jobs that a provider runs: what it is told, how they are sent, how they are followed."""
