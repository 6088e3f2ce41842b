"""Errors with a message for the person in front of the screen: what happened, why, what to do."""


class PortalError(Exception):
    """An expected error. `message` is shown as it is; `code` is stable, for programs; `status` is the HTTP status."""

    status = 400
    code = "invalid"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class NotAllowedError(PortalError):
    """The person is known and belongs here, but the role does not allow this."""

    status = 403
    code = "not_allowed"


class ConflictError(PortalError):
    """The thing changed, or is in a state in which this cannot be done."""

    status = 409
    code = "conflict"


class StaleStateError(ConflictError):
    """Another process moved the row first."""

    code = "stale_state"
