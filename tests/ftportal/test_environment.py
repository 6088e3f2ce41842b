import errno
import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from ftportal.environment import (
    ConfigurationError,
    advice_for,
    env_bool,
    env_int,
    env_list,
    home_directory,
    load,
    run_directory_for,
)

KEY = Fernet.generate_key().decode()


def test_embedded_by_default(tmp_path: Path):
    environment = load({"FTPORTAL_HOME": str(tmp_path)})
    assert environment.embedded_postgres
    assert environment.embedded_redis
    assert environment.database_url.startswith("postgresql://postgres@/ftportal?host=")
    assert environment.redis_url.startswith("unix://")
    assert environment.inference_socket is not None
    assert (environment.host, environment.port) == ("127.0.0.1", 8000)


def test_each_service_is_embedded_on_its_own(tmp_path: Path):
    environment = load({"FTPORTAL_HOME": str(tmp_path), "REDIS_URL": "redis://:pw@cache:6379/3"})
    assert environment.embedded_postgres
    assert not environment.embedded_redis
    assert environment.celery_broker_url == "redis://:pw@cache:6379/3"


def test_a_socket_is_another_transport_for_celery(tmp_path: Path):
    assert load({"FTPORTAL_HOME": "/srv/a b", "REDIS_URL": "redis://x"} | external()).home == Path("/srv/a b")
    environment = load({"FTPORTAL_HOME": str(tmp_path), "REDIS_URL": "unix:///run/redis.sock?db=2"})
    assert environment.celery_broker_url == "redis+socket:///run/redis.sock?virtual_host=2"


def test_secrets_are_made_once_and_private(tmp_path: Path):
    first, second = (load({"FTPORTAL_HOME": str(tmp_path / "home")}) for _ in range(2))
    assert first.secret_key == second.secret_key
    assert len(first.secret_key) >= 50
    assert Fernet(first.encryption_key).decrypt(Fernet(second.encryption_key).encrypt(b"x")) == b"x"
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    files = list((tmp_path / "home" / "secrets").iterdir())
    assert {path.name for path in files} == {"secret_key", "encryption_key", "inference_token"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_secrets_do_not_show_in_a_traceback(tmp_path: Path):
    environment = load({"FTPORTAL_HOME": str(tmp_path), "REDIS_URL": "redis://:hunter2@cache"})
    for secret in (
        environment.secret_key,
        environment.encryption_key,
        environment.inference_token,
        "hunter2",
    ):
        assert secret not in repr(environment)


def external() -> dict[str, str]:
    return {
        "DATABASE_URL": "postgresql://u:p@db/ftportal",
        "FTPORTAL_SECRET_KEY": "s" * 50,
        "FTPORTAL_ENCRYPTION_KEY": KEY,
    }


def test_a_database_of_ones_own_needs_keys_of_ones_own(tmp_path: Path):
    given = {"FTPORTAL_HOME": str(tmp_path), **external()}
    assert load(given).encryption_key == KEY
    for name in ("FTPORTAL_SECRET_KEY", "FTPORTAL_ENCRYPTION_KEY"):
        with pytest.raises(ConfigurationError, match=f"{name} is not set"):
            load({key: value for key, value in given.items() if key != name})
    assert not (tmp_path / "secrets").exists()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("DATABASE_URL", "mysql://u:hunter2@db/x", "must start with postgres:// or postgresql://"),
        ("REDIS_URL", "http://cache", "must start with redis:// or rediss:// or unix://"),
        ("FTPORTAL_INFERENCE_URL", "gpu-host:9000", "must start with http:// or https://"),
        ("FTPORTAL_PORT", "eighty", "set it to a whole number"),
        ("FTPORTAL_PORT", "70000", "from 1 up to 65535"),
        ("FTPORTAL_ENCRYPTION_KEY", "c2hvcnQ=", "not 32 bytes in URL-safe base64"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, name: str, value: str, message: str):
    with pytest.raises(ConfigurationError, match=message) as caught:
        load({"FTPORTAL_HOME": str(tmp_path), name: value})
    assert "hunter2" not in str(caught.value)


def test_an_emptied_secret_is_not_replaced_in_silence(tmp_path: Path):
    load({"FTPORTAL_HOME": str(tmp_path)})
    (tmp_path / "secrets" / "encryption_key").write_text("")
    with pytest.raises(ConfigurationError, match="restore it from a backup"):
        load({"FTPORTAL_HOME": str(tmp_path)})


def test_a_full_disk_is_not_called_a_missing_right():
    full = advice_for(OSError(errno.ENOSPC, "No space left on device"))
    assert full == "Make room there, or set FTPORTAL_HOME to a directory on a larger disk."
    assert "right to write" in advice_for(PermissionError(errno.EACCES, "Permission denied"))


def test_a_long_home_gets_a_short_directory_for_sockets():
    long = Path("/srv") / ("x" * 90)
    assert run_directory_for(Path("/srv/ftportal")) == Path("/srv/ftportal/run")
    run = run_directory_for(long)
    assert run == run_directory_for(long)
    assert run != run_directory_for(long.with_name("y" * 90))
    # sun_path holds 108 bytes on Linux and 104 on macOS, the final NUL included: unix(7), unix(4)
    assert len(str(run / "postgres/.s.PGSQL.5432")) < 104


def test_home_is_absolute():
    assert home_directory({"FTPORTAL_HOME": "some/where"}) == Path.cwd() / "some/where"
    assert home_directory({}).is_absolute()


def test_switches():
    for word in ("1", "true", "Yes", "ON"):
        assert env_bool("X", default=False, environ={"X": word})
    for word in ("0", "false", "No", "off"):
        assert not env_bool("X", default=True, environ={"X": word})
    assert env_bool("X", default=True, environ={"X": " "})
    with pytest.raises(ConfigurationError, match="X is 'maybe', which is neither yes nor no"):
        env_bool("X", default=True, environ={"X": "maybe"})


def test_numbers():
    assert env_int("X", default=3, environ={}) == 3
    assert env_int("X", default=3, minimum=0, environ={"X": "0"}) == 0
    with pytest.raises(ConfigurationError, match="X is -1: set it to a whole number from 0"):
        env_int("X", default=3, minimum=0, environ={"X": "-1"})
    with pytest.raises(ConfigurationError, match=r"X is '1\.5'"):
        env_int("X", default=3, environ={"X": "1.5"})


def test_lists():
    assert env_list("X", default=["a"], environ={}) == ["a"]
    assert env_list("X", default=[], environ={"X": " a, ,b "}) == ["a", "b"]
    with pytest.raises(ConfigurationError, match="choose from a, b"):
        env_list("X", default=[], choices=["a", "b"], environ={"X": "a,c"})
