"""`ftportal doctor`: what is configured, reachable or missing, and how to mend it. Changes nothing."""

import json
import shutil
import stat
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ftportal.embedded.claim import lock_holder
from ftportal.environment import CHECKOUT, Environment
from ftportal.preflight import MINIMUM_FREE_BYTES, missing_browser_packages

if TYPE_CHECKING:
    from apps.providers.launching.command import ToolCommand

ROOMY_BYTES = 10 * 1024**3  # models and checkpoints take gigabytes
OLDEST_POSTGRES = 15


class Status(StrEnum):
    OK = "ok"
    WARN = "warn"  # something does not work, or not yet; the rest does
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One part, its state, and what to do when that is not "ok"."""

    part: str
    status: Status
    detail: str
    mend: str = ""


Check = Callable[[Environment], Iterable[Finding]]


def main(environment: Environment, *, as_json: bool) -> int:
    """Print what `examine` finds; exit code 1 when a part has failed."""
    findings = examine(environment)
    failed = [finding for finding in findings if finding.status is Status.FAIL]
    if as_json:
        print(json.dumps({"ok": not failed, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        width = max(len(finding.part) for finding in findings)
        for finding in findings:
            print(f"{finding.status:<4}  {finding.part:<{width}}  {finding.detail}")
            if finding.mend:
                print(f"{'':<{width + 8}}-> {finding.mend}")
    return int(bool(failed))


def examine(environment: Environment) -> list[Finding]:
    """Every part in turn. A check that breaks is a failed part, and does not hide the others."""
    findings: list[Finding] = []
    for part, check in CHECKS.items():
        try:
            findings += check(environment)
        except Exception as error:  # noqa: BLE001 - whatever is broken here is what the person wants to know
            detail = f"{type(error).__name__}: {error}".splitlines()[0]
            findings.append(_fail(part, detail, "see docs/operations.md, Troubleshooting"))
    return findings


def _ok(part: str, detail: str) -> Finding:
    return Finding(part=part, status=Status.OK, detail=detail)


def _warn(part: str, detail: str, mend: str) -> Finding:
    return Finding(part=part, status=Status.WARN, detail=detail, mend=mend)


def _fail(part: str, detail: str, mend: str) -> Finding:
    return Finding(part=part, status=Status.FAIL, detail=detail, mend=mend)


def _python(_: Environment) -> Iterable[Finding]:
    yield _ok("Python", f"{sys.version.split()[0]} ({sys.executable})")


def _packages(_: Environment) -> Iterable[Finding]:
    from packaging.requirements import Requirement

    problems = []
    for text in metadata.requires("ftportal") or []:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            problems.append(f"{requirement.name} is missing")
        else:
            if not requirement.specifier.contains(installed, prereleases=True):
                problems.append(f"{requirement.name} is {installed}, wanted {requirement.specifier}")
    if problems:
        yield _fail("packages", "; ".join(problems), "make setup")
    else:
        yield _ok("packages", "all that ftportal requires are installed")


def _torch(_: Environment) -> Iterable[Finding]:
    if find_spec("torch") is None:
        mend = "pip install 'ftportal[local]', if this host trains or answers with local models"
        yield _warn("torch", "not installed: no local training and no local answers", mend)
        return
    import torch

    yield _ok("torch", str(torch.__version__))
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
        yield _ok("GPU", names)
    else:
        mend = "for an NVIDIA GPU: its driver, and a torch built for CUDA (TORCH_ARGS in the Makefile)"
        yield _warn("GPU", "none that torch can use: local training runs on the CPU", mend)


def _postgres(environment: Environment) -> Iterable[Finding]:
    if environment.embedded_postgres and lock_holder(environment.home) is None:
        yield _warn("Postgres", "the embedded one is not running", "ftportal up starts it")
        return
    import psycopg

    try:
        with psycopg.connect(environment.database_url, connect_timeout=5) as connection:
            version = connection.info.server_version
    except psycopg.OperationalError as error:
        mend = "check DATABASE_URL, that Postgres runs, and that this host may connect"
        if environment.embedded_postgres:
            mend = f"read {environment.home / 'logs' / 'postgres.log'}, then restart ftportal"
        yield _fail("Postgres", str(error).strip().splitlines()[-1], mend)
        return
    kind = "embedded" if environment.embedded_postgres else "DATABASE_URL"
    detail = f"{version // 10000}.{version % 10000} ({kind})"
    if version // 10000 < OLDEST_POSTGRES:
        yield _fail("Postgres", detail, f"ftportal needs PostgreSQL {OLDEST_POSTGRES} or newer")
        return
    yield _ok("Postgres", detail)
    yield _migrations()


def _migrations() -> Finding:
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    connection.close()
    if missing:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in missing[:3])
        return _fail("migrations", f"{len(missing)} not applied ({names}…)", "ftportal manage migrate")
    return _ok("migrations", "all applied")


def _redis(environment: Environment) -> Iterable[Finding]:
    if environment.embedded_redis and lock_holder(environment.home) is None:
        yield _warn("Redis", "the embedded one is not running", "ftportal up starts it")
        return
    import redis

    client = redis.Redis.from_url(environment.redis_url, socket_connect_timeout=5, socket_timeout=5)
    try:
        version = client.info("server")["redis_version"]
        persistence = client.info("persistence")
    except redis.RedisError as error:
        mend = "check REDIS_URL, that Redis runs, and that this host may connect"
        if environment.embedded_redis:
            mend = f"read {environment.home / 'logs' / 'redis.log'}, then restart ftportal"
        yield _fail("Redis", str(error), mend)
        return
    finally:
        client.close()
    kind = "embedded" if environment.embedded_redis else "REDIS_URL"
    if persistence.get("aof_enabled"):
        yield _ok("Redis", f"{version} ({kind}), append-only file on")
    else:
        mend = "optional: set appendonly yes, so that a restart keeps what waits in the queues"
        yield _warn("Redis", f"{version} ({kind}), append-only file off", mend)


def _workers(environment: Environment) -> Iterable[Finding]:
    if environment.embedded_redis and lock_holder(environment.home) is None:
        yield _warn("workers", "not running", "ftportal up starts them")
        return
    from apps.operations.kinds import QUEUES
    from apps.operations.presence import queues_without_worker

    idle = queues_without_worker()
    if idle is None:
        yield _fail("workers", "unknown: Redis cannot be asked", "mend Redis first")
    elif idle:
        mend = "; ".join(f"ftportal worker {queue}" for queue in idle)
        yield _fail("workers", f"nobody serves {', '.join(idle)}: work for it waits", mend)
    else:
        yield _ok("workers", f"every queue is served: {', '.join(QUEUES)}")


def _inference(environment: Environment) -> Iterable[Finding]:
    import httpx

    socket, url = environment.inference_socket, environment.inference_url
    if socket is not None and lock_holder(environment.home) is None:
        yield _warn("inference", "not running", "ftportal up (or, on its own host, ftportal run inference)")
        return
    transport = httpx.HTTPTransport(uds=str(socket)) if socket is not None else httpx.HTTPTransport()
    token = environment.inference_token
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(
        transport=transport, base_url=url or "http://inference", headers=headers, timeout=5, trust_env=False
    ) as client:
        try:
            loaded = client.get("/health").raise_for_status().json().get("loaded", [])
        except httpx.HTTPError as error:
            where = url or socket
            mend = "check FTPORTAL_INFERENCE_URL and FTPORTAL_INFERENCE_TOKEN" if url else "restart ftportal"
            yield _fail("inference", f"{where} does not answer: {error}", mend)
            return
    yield _ok("inference", f"answers; {len(loaded)} models loaded")


def _disk(environment: Environment) -> Iterable[Finding]:
    existing = next(path for path in (environment.home, *environment.home.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    detail = f"{free / 1e9:.1f} GB free for {environment.home}"
    mend = "make room, or set FTPORTAL_HOME to a directory on a larger disk"
    if free < MINIMUM_FREE_BYTES:
        yield _fail("disk", detail, mend)
    elif free < ROOMY_BYTES:
        yield _warn("disk", detail, mend)
    else:
        yield _ok("disk", detail)


def _browser_packages(environment: Environment) -> Iterable[Finding]:
    missing = missing_browser_packages(CHECKOUT)
    if missing:
        # A host of its own may run only a worker.
        found = _fail if environment.embedded_postgres else _warn
        mend = "make setup (or npm ci) where the web program runs"
        yield found("browser packages", f"missing: {', '.join(missing)}", mend)
    else:
        yield _ok("browser packages", "all of package.json are in node_modules")


def _base_model(_: Environment) -> Iterable[Finding]:
    from django.conf import settings

    directory = Path(settings.FTPORTAL_BASE_MODEL)
    if (directory / "config.json").is_file():
        yield _ok("base model", str(directory))
    else:
        mend = "restore it from the repository, or choose another base model for training"
        yield _warn("base model", f"{directory} is not there", mend)


def _trainers(_: Environment) -> Iterable[Finding]:
    """The operator's own trainers: configured, found, of which version."""
    from apps.jobs.trainers import LAUNCHED, launched_class, trainer_command
    from apps.providers.launching.command import ToolCommand

    for name in LAUNCHED:
        trainer = launched_class(name)
        try:
            command = ToolCommand.parse(trainer_command(name))
        except ValueError as error:
            yield _fail(trainer.label, f"{trainer.setting} can't be read: {error}", "close its quotes")
            continue
        if command is None:
            yield _ok(trainer.label, f"not set up ({trainer.setting})")
        elif command.found is None:
            mend = f"install it, or correct {trainer.setting}; only hosts that train need it"
            yield _fail(trainer.label, f"{command.program} is not there or can't be run", mend)
        else:
            yield _trainer_version(trainer.label, trainer.package, command)


def _trainer_version(label: str, package: str | None, command: "ToolCommand") -> Finding:
    if package is None:
        return _ok(label, str(command.found))
    version = command.version(package)
    if version is not None:
        return _ok(label, f"{version} ({command.found})")
    mend = f"name the interpreter that has the package {package}, or the tool's own command"
    return _warn(label, f"{command.found} is there, its version is unknown", mend)


def _secrets(environment: Environment) -> Iterable[Finding]:
    from cryptography.fernet import Fernet

    for part, file, secret in (
        ("secret key", "secret_key", environment.secret_key),
        ("encryption key", "encryption_key", environment.encryption_key),
    ):
        path = environment.home / "secrets" / file
        stored = path.is_file() and path.read_text(encoding="ascii").strip() == secret
        if part == "encryption key":
            Fernet(secret)  # raises on a key that cannot encrypt
        if stored and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield _fail(part, f"{path} can be read by others", f"chmod 600 {path}")
        else:
            yield _ok(part, f"in {path}" if stored else "from the environment")


def _django(_: Environment) -> Iterable[Finding]:
    import django

    django.setup()
    from django.core.checks import run_checks

    problems = [message for message in run_checks() if message.is_serious()]
    if problems:
        yield _fail("settings", str(problems[0]).splitlines()[0], "ftportal manage check tells them all")
    else:
        yield _ok("settings", "Django's checks find no problem")


CHECKS: dict[str, Check] = {
    "Python": _python,
    "packages": _packages,
    "torch": _torch,
    "disk": _disk,
    "browser packages": _browser_packages,
    "secrets": _secrets,
    "settings": _django,
    "base model": _base_model,
    "trainers": _trainers,
    "Postgres": _postgres,
    "Redis": _redis,
    "workers": _workers,
    "inference": _inference,
}
