"""The composition root: settings, URLs, processes. No business logic."""
