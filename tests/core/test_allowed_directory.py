"""No path leads out of the directory that the operator allows."""

import os

import pytest

from apps.core.allowed_directory import AllowedDirectoryError, files_below, open_below


@pytest.fixture
def root(tmp_path):
    allowed = tmp_path / "allowed"
    (allowed / "inner").mkdir(parents=True)
    (tmp_path / "secret.txt").write_bytes(b"secret")
    (allowed / "a.jsonl").write_bytes(b"a")
    (allowed / "inner" / "b.csv").write_bytes(b"bb")
    (allowed / ".hidden").write_bytes(b"h")
    (allowed / "link").symlink_to(tmp_path / "secret.txt")
    (allowed / "folder").symlink_to(tmp_path)
    os.mkfifo(allowed / "pipe")
    return allowed


def test_files_below_are_listed_and_read(root):
    assert [(file.path, file.size) for file in files_below(root)] == [("a.jsonl", 1), ("inner/b.csv", 2)]
    with open_below(root, "inner/b.csv") as file:
        assert file.read() == b"bb"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "../secret.txt",
        "inner/../../secret.txt",
        "/etc/passwd",
        "link",
        "folder/secret.txt",
        "inner",
        "pipe",
        "nothing",
        "a.jsonl/x",
        "a\x00b",
    ],
)
def test_nothing_else_is_read(root, path):
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(AllowedDirectoryError):
        open_below(root, path)
    assert len(os.listdir("/proc/self/fd")) == before
