"""What the inference program answers instead of a chat."""


class InferenceError(Exception):
    """`status` is the HTTP status; `message` is a sentence for a person and `code` stable, for programs."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
