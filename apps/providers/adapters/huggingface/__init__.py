"""Hugging Face Inference Endpoints and text-generation servers: they answer, and train nothing."""
