"""What the contract suite needs of a provider's stand-in: a real server on a loopback port, steered by the test.

A provider that can't do one of these things says so with the attribute; the tests that need it then run over the
others. `advance` and the rest act as if it happened at the provider: no request of the adapter is involved.
"""

from typing import ClassVar, Literal, Protocol

from apps.providers.contracts import Objective
from apps.providers.remote import RemoteTrainer

Turn = Literal["running", "metrics", "succeeded", "failed", "cancelled", "expired"]
Key = Literal["good", "wrong"]


class Peer(Protocol):
    """Subclass it: what stands here are the usual answers."""

    name: ClassVar[str]
    """As in the registry of adapters."""
    base_model: ClassVar[str]
    """A model that it trains and answers with."""

    objectives: ClassVar[tuple[Objective, ...]] = ("supervised",)
    waits_in_queue: ClassVar[bool] = True
    """False where a job counts as running from the first moment."""
    reports_metrics: ClassVar[bool] = True
    """False where nothing is measured on the way."""
    can_expire: ClassVar[bool] = True
    judges_files: ClassVar[bool] = True
    """False where files lie in a store that doesn't look into them."""
    knows_models: ClassVar[bool] = True
    """False where `validate` can't tell a model that doesn't exist."""
    names_a_pause: ClassVar[bool] = True
    """False where a provider that is too busy doesn't say for how long it wants to be left alone."""
    needs_deployment: ClassVar[bool] = False
    """True where a tuned model answers only once it is deployed."""
    is_http: ClassVar[bool] = True
    """False where refusals don't come as HTTP statuses that `refuse_next` can choose."""

    secret: str
    """The key of `adapter("good")`. Refusals of the peer repeat the key they were asked with, as providers do."""
    reason: str
    """What a job that failed says about it."""

    def start(self) -> None: ...

    def stop(self) -> None:
        """No one answers from now on. May be called twice."""

    def adapter(self, key: Key = "good") -> RemoteTrainer:
        """A new one. It is closed by the caller."""

    def lines(self, objective: Objective, count: int) -> list[bytes]:
        """Lines of a file, all different, in the data format of the base model's support."""

    def advance(self, handle: str, to: Turn) -> None:
        """Moves the job on. "metrics": one more step is measured, with the job running. A state that was reached
        already stays."""

    def measured(self, handle: str) -> list[tuple[int, float]]:
        """Step and training loss of all that was measured so far, in order."""

    def refuse_next(self, status: int, *, retry_after: float | None = None, times: int = 1) -> None:
        """The next requests are answered with this HTTP status; `times=0` ends it."""

    def lose_next_create(self) -> None:
        """The next job is created, and the connection breaks before the answer."""

    def jobs_created(self) -> int: ...

    def forget_job(self, handle: str) -> None:
        """The provider holds it no more."""

    def cancel_was_asked(self, handle: str) -> bool: ...

    def deploy(self, model: str) -> None:
        """The tuned model answers from now on. Only asked where `needs_deployment`."""
        assert not self.needs_deployment, "this provider deploys models"
