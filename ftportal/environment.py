"""What the process environment configures, read once and checked, without Django.

Unset means the embedded default: a Postgres and a Redis that `ftportal up` runs under FTPORTAL_HOME, with
generated secrets. A set value that makes no sense is refused with a sentence that says what would.
"""

import base64
import binascii
import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

CHECKOUT = Path(__file__).resolve().parent.parent

# The shortest limit of the supported systems: sun_path has 104 bytes on macOS (108 on Linux), one is for NUL.
MAXIMUM_SOCKET_PATH = 103
LONGEST_SOCKET_NAME = "postgres/.s.PGSQL.5432"
SHORT_DIRECTORY = Path("/tmp")  # noqa: S108 - sockets only; the directory inside is private and its owner is checked

DATABASE_NAME = "ftportal"
DATABASE_USER = "postgres"
POSTGRES_PORT = 5432  # names the socket file; nothing listens on TCP

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})


class ConfigurationError(Exception):
    """The configuration cannot be used; the message says what is wrong and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """Everything that settings, services and commands take from the environment.

    URLs of the embedded services are known before those services run: they follow from `home` alone.
    """

    home: Path
    run_directory: Path  # sockets and pid files; inside `home` unless that path is too long for a socket
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    embedded_postgres: bool
    embedded_redis: bool
    secret_key: str = field(repr=False)
    encryption_key: str = field(repr=False)  # a Fernet key: 32 bytes in URL-safe base64
    inference_url: str | None  # set: the inference program runs elsewhere
    inference_socket: Path | None  # set: `ftportal up` runs it here, listening on this socket
    inference_token: str = field(repr=False)
    host: str
    port: int

    @property
    def celery_broker_url(self) -> str:
        """`redis_url` as Celery writes it (a Unix socket is a transport of its own there)."""
        parts = urlsplit(self.redis_url)
        if parts.scheme != "unix":
            return self.redis_url
        database = parse_qs(parts.query).get("db", ["0"])[0]
        return f"redis+socket://{parts.path}?virtual_host={database}"


def load(environ: Mapping[str, str] | None = None) -> Environment:
    """Read the environment (default: this process's). Raises ConfigurationError."""
    environ = os.environ if environ is None else environ
    home = home_directory(environ)
    run_directory = run_directory_for(home)
    database_url = _url(environ, "DATABASE_URL", ("postgres", "postgresql"))
    redis_url = _url(environ, "REDIS_URL", ("redis", "rediss", "unix"))
    inference_url = _url(environ, "FTPORTAL_INFERENCE_URL", ("http", "https"))
    embedded = database_url is None
    return Environment(
        home=home,
        run_directory=run_directory,
        database_url=database_url or embedded_database_url(run_directory),
        redis_url=redis_url or embedded_redis_url(run_directory),
        embedded_postgres=embedded,
        embedded_redis=redis_url is None,
        secret_key=_secret(environ, "FTPORTAL_SECRET_KEY", home, generate=embedded),
        encryption_key=_encryption_key(environ, home, generate=embedded),
        inference_url=inference_url,
        inference_socket=None if inference_url else run_directory / "inference.sock",
        inference_token=_inference_token(environ, home, generate=embedded and not inference_url),
        host=environ.get("FTPORTAL_HOST") or "127.0.0.1",
        port=env_int("FTPORTAL_PORT", default=8000, minimum=1, maximum=65535, environ=environ),
    )


def home_directory(environ: Mapping[str, str] | None = None) -> Path:
    """FTPORTAL_HOME as an absolute path; default: `var` beside the checkout."""
    environ = os.environ if environ is None else environ
    given = environ.get("FTPORTAL_HOME", "")
    if given:
        return Path(given).expanduser().absolute()
    if (CHECKOUT / "manage.py").exists() or (CHECKOUT / "pyproject.toml").exists():
        return CHECKOUT / "var"
    return Path.cwd() / "var"


def run_directory_for(home: Path) -> Path:
    """Where sockets live: `home/run`, or a short path of this user's when that is too long for a socket."""
    inside = home / "run"
    if len(os.fsencode(inside / LONGEST_SOCKET_NAME)) <= MAXIMUM_SOCKET_PATH:
        return inside
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    return SHORT_DIRECTORY / f"ftportal-{os.getuid()}-{digest}"


def advice_for(error: Exception) -> str:
    """What to do when nothing can be read or written under the home."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "Make room there, or set FTPORTAL_HOME to a directory on a larger disk."
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "A file is where a directory should be: set FTPORTAL_HOME to a directory of its own."
    return "Give this user the right to write there, or set FTPORTAL_HOME to a directory of its own."


def embedded_database_url(run_directory: Path, name: str = DATABASE_NAME) -> str:
    """The embedded Postgres, over its Unix socket."""
    return f"postgresql://{DATABASE_USER}@/{name}?host={quote(str(run_directory / 'postgres'), safe='')}"


def embedded_redis_url(run_directory: Path) -> str:
    """The embedded Redis, over its Unix socket."""
    return f"unix://{quote(str(run_directory / 'redis.sock'))}"


def env_bool(name: str, *, default: bool, environ: Mapping[str, str] | None = None) -> bool:
    """A switch; 1/true/yes/on or 0/false/no/off. Unset or empty: the default."""
    given = _given(name, environ)
    if not given:
        return default
    if given.lower() in TRUE_WORDS:
        return True
    if given.lower() in FALSE_WORDS:
        return False
    raise ConfigurationError(f"{name} is {given!r}, which is neither yes nor no: set it to 1 or 0.")


def env_int(
    name: str,
    *,
    default: int,
    minimum: int | None = None,
    maximum: int | None = None,
    environ: Mapping[str, str] | None = None,
) -> int:
    """A whole number within the limits. Unset or empty: the default."""
    given = _given(name, environ)
    if not given:
        return default
    try:
        value = int(given)
    except ValueError:
        raise ConfigurationError(f"{name} is {given!r}: set it to a whole number.") from None
    if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
        low = "" if minimum is None else f" from {minimum}"
        high = "" if maximum is None else f" up to {maximum}"
        raise ConfigurationError(f"{name} is {value}: set it to a whole number{low}{high}.")
    return value


def env_list(
    name: str,
    *,
    default: list[str],
    choices: list[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> list[str]:
    """Comma-separated words, blanks dropped. Unset or empty: the default."""
    given = _given(name, environ)
    if not given:
        return list(default)
    values = [word.strip() for word in given.split(",") if word.strip()]
    for value in values:
        if choices is not None and value not in choices:
            raise ConfigurationError(f"{name} has {value!r}: choose from {', '.join(choices)}.")
    return values


def _given(name: str, environ: Mapping[str, str] | None) -> str:
    return (os.environ if environ is None else environ).get(name, "").strip()


def _url(environ: Mapping[str, str], name: str, schemes: tuple[str, ...]) -> str | None:
    """The URL as given, or None when unset. Messages never repeat it: it may hold a password."""
    given = _given(name, environ)
    if not given:
        return None
    scheme = urlsplit(given).scheme
    if scheme not in schemes:
        wanted = " or ".join(f"{each}://" for each in schemes)
        raise ConfigurationError(f"{name} starts with {scheme or 'no scheme'}: it must start with {wanted}.")
    return given


def _inference_token(environ: Mapping[str, str], home: Path, *, generate: bool) -> str:
    """For a program of our own a generated token; over the network what the operator shares, or none."""
    given = _given("FTPORTAL_INFERENCE_TOKEN", environ)
    if given or not generate:
        return given
    return _stored_secret(home, "inference_token", _new_secret)


def _encryption_key(environ: Mapping[str, str], home: Path, *, generate: bool) -> str:
    key = _secret(environ, "FTPORTAL_ENCRYPTION_KEY", home, generate=generate, new=_new_fernet_key)
    try:
        length = len(base64.urlsafe_b64decode(key))
    except (binascii.Error, ValueError):
        length = 0
    if length != 32:
        raise ConfigurationError(
            "FTPORTAL_ENCRYPTION_KEY is not 32 bytes in URL-safe base64: make one with"
            " python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'."
        )
    return key


def _new_secret() -> str:
    return secrets.token_urlsafe(48)


def _new_fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _secret(
    environ: Mapping[str, str],
    name: str,
    home: Path,
    *,
    generate: bool,
    new: Callable[[], str] = _new_secret,
) -> str:
    given = _given(name, environ)
    if given:
        return given
    if not generate:
        raise ConfigurationError(
            f"{name} is not set. With a DATABASE_URL of your own it is needed, the same on every host:"
            " set it to a secret that you keep with your backups."
        )
    return _stored_secret(home, name.removeprefix("FTPORTAL_").lower(), new)


def _stored_secret(home: Path, name: str, new: Callable[[], str]) -> str:
    """The secret in `home/secrets/name`, made on first use; processes starting together get the same one."""
    path = home / "secrets" / name
    try:
        if not path.exists():
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            draft = path.with_name(f".{name}.{os.getpid()}.{secrets.token_hex(4)}")
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(descriptor, "w", encoding="ascii") as file:
                    file.write(new())
                    file.flush()
                    os.fsync(file.fileno())
                os.link(draft, path)  # fails if another process was first; then its secret counts
            except FileExistsError:
                pass
            finally:
                draft.unlink(missing_ok=True)
        value = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            f"The secret {path} cannot be read or made: {reason}. {advice_for(error)}"
        ) from error
    if not value:
        raise ConfigurationError(
            f"The secret {path} is empty: restore it from a backup."
            " Deleting it makes a new one, and what was encrypted or signed with the old one is lost."
        )
    return value
