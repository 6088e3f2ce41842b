"""Connecting providers, looking at what they offer, and saying what they cost."""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any

from django.conf import settings as site
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.accounts.models import User, Workspace
from apps.audit.services import record
from apps.core.encryption import SealedWithAnotherKeyError, encrypt_text
from apps.core.errors import ConflictError
from apps.operations.models import Operation
from apps.operations.selectors import latest_operation_for
from apps.operations.services import operation_start
from apps.providers.connection_settings import (
    SettingError,
    checked_secrets,
    checked_settings,
    moved_address,
)
from apps.providers.contracts import ProviderError
from apps.providers.models import Connection, Price
from apps.providers.opening import adapter_for
from apps.providers.plugs import uses_of
from apps.providers.prices import objective_of
from apps.providers.registry import provider_class
from apps.providers.remote import ConnectionCheck, RemoteModel, Setting
from apps.providers.selectors import CHECK_KIND

MOST_MODELS = 2000
"""Models of a listing that are kept, of each kind."""
LONGEST_NAME = 80


def declared_settings(provider: str) -> tuple[Setting, ...]:
    """What the provider wants to be told. ProviderRejectedError for one that is unknown or needs no connection."""
    kind = provider_class(provider)
    declared: tuple[Setting, ...] | None = getattr(kind, "settings", None)
    if declared is None:
        raise SettingError("This provider needs no connection.", field="provider")
    return declared


def connection_create(
    *,
    workspace: Workspace,
    provider: str,
    name: str,
    settings: Mapping[str, str],
    secrets: Mapping[str, str],
    by: User | None,
) -> Connection:
    """A way to a provider. Raises SettingError for what can't be stored, ProviderRejectedError for an unknown one."""
    declared = declared_settings(provider)
    kept = checked_settings(declared, settings, allow_private=site.FTPORTAL_ALLOW_PRIVATE_URLS)
    sealed = _sealed(checked_secrets(declared, secrets, stored={}))
    name = _checked_name(name)
    with _unique_name(name), transaction.atomic():
        connection = Connection.objects.create(
            workspace=workspace,
            provider=provider,
            name=name,
            settings=kept,
            sealed_secrets=sealed,
            created_by=by,
        )
        record(
            workspace=workspace,
            actor=by,
            action="connection.created",
            target=connection,
            after={"provider": provider, "name": name, "settings": kept},
        )
    return connection


def connection_change(
    *,
    connection: Connection,
    name: str,
    settings: Mapping[str, str],
    secrets: Mapping[str, str],
    by: User | None,
    forget: Collection[str] = (),
) -> Connection:
    """Other settings; an empty secret keeps the stored one, the ones in `forget` are deleted.

    A stored secret is not carried to another server than it was given for. Raises SettingError.
    """
    declared = declared_settings(connection.provider)
    kept = checked_settings(declared, settings, allow_private=site.FTPORTAL_ALLOW_PRIVATE_URLS)
    name = _checked_name(name)
    with _unique_name(name), transaction.atomic():
        locked = _locked(connection)
        stored = {key: value for key, value in _stored_secrets(locked).items() if key not in forget}
        _refuse_carrying(declared, locked.settings, kept, stored, secrets)
        before = {"name": locked.name, "settings": locked.settings}
        locked.name, locked.settings = name, kept
        locked.sealed_secrets = _sealed(checked_secrets(declared, secrets, stored=stored))
        # What was seen over the old settings says nothing about the new ones.
        locked.checked_at = locked.reachable = locked.authenticated = None
        locked.check_message = ""
        locked.save()
        record(
            workspace=locked.workspace,
            actor=by,
            action="connection.changed",
            target=locked,
            before=before,
            after={"name": name, "settings": kept},
            data={
                "new_secrets": sorted(key for key, value in secrets.items() if value),
                "forgotten": sorted(forget),
            },
        )
    return locked


def connection_remove(*, connection: Connection, by: User | None) -> None:
    """Take it away and delete its secrets; jobs and models keep what they know of it.

    Raises ConflictError while something runs over it.
    """
    with transaction.atomic():
        locked = _locked(connection)
        if uses := uses_of(locked):
            raise ConflictError(
                f"“{locked.name}” is in use by {_few(uses)}. Wait until it has ended, or cancel it, then remove"
                " the connection."
            )
        locked.removed_at = timezone.now()
        locked.sealed_secrets = ""
        locked.save()
        record(
            workspace=locked.workspace,
            actor=by,
            action="connection.removed",
            target=locked,
            before={"provider": locked.provider, "settings": locked.settings},
        )


def connection_check_start(*, connection: Connection, by: User | None) -> Operation:
    """Look at it in the background; the look that is under way already, if there is one."""
    try:
        return operation_start(
            workspace=connection.workspace,
            kind=CHECK_KIND,
            subject=connection,
            title=f"Check the connection {connection.name}",
            actor=by,
            url=connection.get_absolute_url(),
        )
    except ConflictError:
        running = latest_operation_for(connection, CHECK_KIND)
        if running is None:
            raise
        return running


def connection_check(*, connection: Connection, by: User | None = None) -> ConnectionCheck:
    """Ask the provider now and store what it says: reachable, authenticated, its models, the quota.

    What was seen over settings that were changed in the meantime is not stored. No transaction is open while the
    provider is asked.
    """
    try:
        seen: ConnectionCheck = adapter_for(connection).check()
    except (ProviderError, SealedWithAnotherKeyError) as error:
        seen = ConnectionCheck(reachable=False, authenticated=None, message=error.message)
    changes: dict[str, Any] = {
        "checked_at": timezone.now(),
        "reachable": seen.reachable,
        "authenticated": seen.authenticated,
        "check_message": seen.message.replace("\0", "")[:2000],
    }
    if seen.reachable and seen.authenticated is not False:
        # The last listing stays while the provider can't be asked.
        changes |= {"quota": seen.quota[:300], "offered": offered_as_json(seen)}
    with transaction.atomic():
        # Without `updated_at`: the settings are the same, so the open adapter goes on serving.
        stored = Connection.objects.filter(
            pk=connection.pk, updated_at=connection.updated_at, removed_at=None
        ).update(**changes)
        if stored:
            record(
                workspace=connection.workspace,
                actor=by,
                action="connection.checked",
                target=connection,
                after={"reachable": seen.reachable, "authenticated": seen.authenticated},
            )
    return seen


def offered_as_json(seen: ConnectionCheck) -> dict[str, list[dict[str, Any]]]:
    """What is kept of a listing; a list that the provider doesn't give is left out."""
    lists = {"trainable": seen.trainable, "served": seen.served}
    return {
        name: [_model_as_json(model) for model in models[:MOST_MODELS]]
        for name, models in lists.items()
        if models is not None
    }


def _model_as_json(model: RemoteModel) -> dict[str, Any]:
    values = asdict(model)
    if model.end_of_life is not None:
        values["end_of_life"] = model.end_of_life.isoformat()
    return values


# --- Prices ---------------------------------------------------------------------------------------------------------


def price_set(
    *,
    workspace: Workspace,
    provider: str,
    model: str,
    kind: str,
    amount: Decimal,
    currency: str,
    as_of: date,
    by: User | None,
    objective: str = "supervised",
    source: str = "",
) -> Price:
    """What one million tokens cost; a price that was said before for the same thing is replaced."""
    said: dict[str, Any] = {"amount": amount, "currency": currency, "as_of": as_of, "source": source}
    what: dict[str, Any] = {
        "provider": provider,
        "model": model.strip(),
        "kind": kind,
        "objective": objective_of(kind, objective),
    }
    with transaction.atomic():
        before = Price.objects.select_for_update().filter(workspace=workspace, **what).first()
        earlier = _price_values(before) if before is not None else None
        price, _ = Price.objects.update_or_create(
            workspace=workspace, **what, defaults={**said, "changed_by": by}
        )
        if earlier != _price_values(price):
            record(
                workspace=workspace,
                actor=by,
                action="price.said",
                target=price,
                before=earlier,
                after=_price_values(price),
                data=what,
            )
    return price


def price_remove(*, price: Price, by: User | None) -> None:
    """The shipped price counts again, if there is one."""
    with transaction.atomic():
        record(
            workspace=price.workspace,
            actor=by,
            action="price.removed",
            target=price,
            before=_price_values(price),
            data={"provider": price.provider, "model": price.model, "kind": price.kind},
        )
        price.delete()


def _price_values(price: Price) -> dict[str, str]:
    return {
        "amount": f"{price.amount.normalize():f}",
        "currency": price.currency,
        "as_of": price.as_of.isoformat(),
        "source": price.source,
    }


# --- Their parts ----------------------------------------------------------------------------------------------------


def _locked(connection: Connection) -> Connection:
    locked = (
        Connection.objects.select_for_update(of=("self",)).select_related("workspace").get(pk=connection.pk)
    )
    if locked.removed_at is not None:
        raise ConflictError(f"“{locked.name}” was removed already.")
    return locked


def _stored_secrets(connection: Connection) -> dict[str, str]:
    """Without those that another key sealed: they are entered again, which is how that is mended."""
    try:
        return dict(connection.secrets())
    except SealedWithAnotherKeyError:
        return {}


def _refuse_carrying(
    declared: tuple[Setting, ...],
    before: Mapping[str, str],
    after: Mapping[str, str],
    stored: Mapping[str, str],
    given: Mapping[str, str],
) -> None:
    moved = moved_address(declared, before, after)
    if moved is None:
        return
    for setting in declared:
        if setting.secret and stored.get(setting.name) and not given.get(setting.name):
            raise SettingError(
                f"{moved.label} leads to another server now, and {setting.label} was given for the one before."
                " Enter it again.",
                field=setting.name,
            )


def _sealed(secrets: Mapping[str, str]) -> str:
    return encrypt_text(json.dumps(dict(secrets))) if secrets else ""


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name:
        raise SettingError("Give the connection a name.", field="name")
    if len(name) > LONGEST_NAME or "\0" in name:
        raise SettingError(f"A name has at most {LONGEST_NAME} characters.", field="name")
    return name


@contextmanager
def _unique_name(name: str) -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        if "connection_name_unique_in_workspace" not in str(error):
            raise
        raise SettingError(f"There is a connection “{name}” already.", field="name") from None


def _few(uses: list[str]) -> str:
    rest = len(uses) - 3
    return ", ".join(uses[:3]) + (f" and {rest} more" if rest > 0 else "")
