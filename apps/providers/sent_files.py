"""What was sent over a connection, so that the same content is not sent twice."""

from apps.providers.models import Connection, SentFile


def sent_file_note(
    *,
    connection: Connection,
    sha256: str,
    role: str,
    objective: str,
    filename: str,
    size: int,
    provider_file: str,
) -> SentFile:
    """`size` in bytes. Content that was sent before gets its newest name at the provider."""
    sent, _ = SentFile.objects.update_or_create(
        connection=connection,
        sha256=sha256,
        role=role,
        objective=objective,
        defaults={"filename": filename[:200], "size": size, "provider_file": provider_file},
    )
    return sent


def sent_file_find(*, connection: Connection, sha256: str, role: str, objective: str) -> SentFile | None:
    return SentFile.objects.filter(
        connection=connection, sha256=sha256, role=role, objective=objective
    ).first()


def sent_file_forget(*, connection: Connection, provider_file: str) -> None:
    """The provider has it no longer, or will not train on it."""
    SentFile.objects.filter(connection=connection, provider_file=provider_file).delete()
