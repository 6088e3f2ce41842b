"""The steps of a version that a person takes: freeze, try again, delete what never froze."""

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import ConflictError, PortalError
from apps.core.states import transition
from apps.datasets.models import Dataset, Version, VersionState
from apps.datasets.selectors import next_version_number
from apps.datasets.services.checks import refuse_refused_rows, refuse_undecided_leakage
from apps.operations.services import operation_start

FREEZE_KIND = "datasets.freeze_version"


def version_freeze_request(
    *,
    dataset: Dataset,
    seed: int,
    validation_share: float,
    test_share: float,
    group_path: str = "",
    keeps_splits: bool = False,
    note: str = "",
    test_release_reason: str = "",
    number: int | None = None,
    actor: User | None,
) -> Version:
    """Number the next version and queue its freezing. It takes in every row that the dataset holds by then.

    `number` is the one that the person was promised: when it is taken, as by the same form sent twice, nothing is
    frozen and `ConflictError` says so.
    """
    if validation_share < 0 or test_share < 0 or validation_share + test_share >= 1:
        raise PortalError("Validation and test together must leave something to train on.", code="bad_shares")
    with transaction.atomic():
        locked = Dataset.objects.select_for_update().get(pk=dataset.pk)
        if not locked.example_count:
            raise ConflictError("The dataset has no rows yet. Import a file first.")
        refuse_undecided_leakage(dataset)
        refuse_refused_rows(dataset)
        next_number = next_version_number(locked)
        if number is not None and number != next_number:
            raise ConflictError(
                f"Version {next_number - 1} of “{locked.name}” was made while this page was open. Look at it first, and"
                " freeze another if you still need it."
            )
        version = Version.objects.create(
            dataset=dataset,
            number=next_number,
            seed=seed,
            validation_share=validation_share,
            test_share=test_share,
            group_path=group_path,
            keeps_splits=keeps_splits,
            note=note,
            test_release_reason=test_release_reason,
            created_by=actor,
        )
        _start(version, actor)
    return version


def version_freeze_again(*, version: Version, actor: User) -> None:
    """Queue a freezing again that failed or was cancelled."""
    if version.state != VersionState.FAILED:
        raise ConflictError(f"{version} is not failed. Reload the page.")
    refuse_undecided_leakage(version.dataset)
    refuse_refused_rows(version.dataset)
    with transaction.atomic():
        transition(version, VersionState.FREEZING, error="")
        _start(version, actor)


def version_delete(*, version: Version, actor: User) -> None:
    """Remove a version that never froze. A frozen one stays for ever."""
    with transaction.atomic():
        locked = Version.objects.select_for_update().get(pk=version.pk)
        if locked.state != VersionState.FAILED:
            raise ConflictError(
                f"{locked} is frozen: models and verdicts may stand on it, so it is never deleted."
                if locked.state == VersionState.FROZEN
                else f"{locked} is being frozen. Cancel that first."
            )
        record(
            workspace=locked.dataset.project.workspace, actor=actor, action="version.deleted", target=locked
        )
        locked.delete()


def _start(version: Version, actor: User | None) -> None:
    operation_start(
        workspace=version.dataset.project.workspace,
        kind=FREEZE_KIND,
        subject=version,
        title=f"Freeze {version}",
        actor=actor,
        url=version.get_absolute_url(),
    )
