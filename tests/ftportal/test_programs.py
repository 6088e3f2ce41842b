from pathlib import Path

import pytest

from ftportal.environment import ConfigurationError, load
from ftportal.programs import NAMES, program


def test_the_inference_program_listens_where_the_others_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    home = {"FTPORTAL_HOME": str(tmp_path)}
    beside, elsewhere = load(home), load(home | {"FTPORTAL_INFERENCE_URL": "http://gpu:9000"})
    assert program("inference", beside).command[-2:] == ["--socket", str(beside.inference_socket)]
    with pytest.raises(ConfigurationError, match="FTPORTAL_INFERENCE_PORT is not set"):
        program("inference", elsewhere)
    monkeypatch.setenv("FTPORTAL_INFERENCE_PORT", "9000")
    assert program("inference", elsewhere).command[-4:] == ["--host", "127.0.0.1", "--port", "9000"]
    with pytest.raises(ConfigurationError, match="FTPORTAL_INFERENCE_URL is not set"):
        program("inference", beside)


def test_secrets_are_not_on_the_command_line(tmp_path: Path):
    """Everybody on the machine can read a command line."""
    environment = load({"FTPORTAL_HOME": str(tmp_path), "REDIS_URL": "redis://:hunter2@cache"})
    words = [word for name in NAMES for word in program(name, environment).command]
    for secret in ("hunter2", environment.inference_token, environment.secret_key):
        assert not [word for word in words if secret in word]
