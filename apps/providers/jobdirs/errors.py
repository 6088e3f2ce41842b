"""How a run ends early."""


class TrainingFailed(Exception):
    """The run can't go on. `message` is a sentence for a person, `code` is stable and for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class StopRequested(BaseException):
    """Someone asked the run to stop. Not an Exception, so that no library's catch-all swallows it."""
