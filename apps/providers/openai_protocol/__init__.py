"""What all clients of OpenAI's protocol share: access, errors in sentences, chats. No Django."""
