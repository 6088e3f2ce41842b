"""Any server of OpenAI's fine-tuning protocol: OpenAI itself, Azure, Bedrock's endpoint, Nebius, LocalAI, ftportal."""
