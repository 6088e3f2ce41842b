"""One suite that every adapter of a remote provider passes, against a small server that speaks as the provider does."""
