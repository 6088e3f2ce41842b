"""Personal data and secrets in texts: finding them by shape and checksum, and taking them out."""
