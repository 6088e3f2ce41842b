import io
import tarfile
from pathlib import Path

import pytest

from apps.providers.contracts import ProviderRejectedError
from apps.providers.jobdirs.packing import pack_directory, unpack_model


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def plain(name: str, content: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), content


def special(name: str, kind: bytes, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member, b""


WEIGHTS = plain("model.safetensors", b"weights")


@pytest.mark.parametrize(
    ("tar", "code"),
    [
        (tar_of(WEIGHTS, plain("../escape.json")), "unsafe_archive"),
        (tar_of(WEIGHTS, plain("/etc/escape.json")), "unsafe_archive"),
        (tar_of(WEIGHTS, plain("a/../../escape.json")), "unsafe_archive"),
        (tar_of(WEIGHTS, special("link.json", tarfile.SYMTYPE, "/etc/passwd")), "unsafe_archive"),
        (tar_of(WEIGHTS, special("hard.json", tarfile.LNKTYPE, "model.safetensors")), "unsafe_archive"),
        (tar_of(WEIGHTS, special("pipe.json", tarfile.FIFOTYPE)), "unsafe_archive"),
        (tar_of(WEIGHTS, special("device.json", tarfile.CHRTYPE)), "unsafe_archive"),
        (tar_of(WEIGHTS, plain("pytorch_model.bin")), "unsafe_archive"),
        (tar_of(WEIGHTS, plain("modeling_custom.py")), "unsafe_archive"),
        (tar_of(WEIGHTS, WEIGHTS), "unsafe_archive"),
        (tar_of(plain("config.json")), "no_weights"),
        (b"this is no tar archive at all", "bad_archive"),
        (tar_of(WEIGHTS)[:700], "bad_archive"),
        (tar_of(plain("model.safetensors", b"0" * 100_000)), "too_large"),
    ],
)
def test_unsafe_and_broken_archives_are_refused(tmp_path: Path, tar: bytes, code: str) -> None:
    target = tmp_path / "inside" / "model"

    with pytest.raises(ProviderRejectedError) as refusal:
        unpack_model([tar], target, limit_bytes=65_536)

    assert refusal.value.code == code
    assert not (tmp_path / "escape.json").exists()
    assert not (tmp_path / "inside" / "escape.json").exists()


def test_packing_is_deterministic_and_comes_back_whole(tmp_path: Path) -> None:
    files = {"model.safetensors": b"weights" * 1000, "config.json": b"{}", "sub/tokenizer.json": b"{}"}
    first, second = tmp_path / "first", tmp_path / "second"
    for directory, names in ((first, list(files)), (second, list(reversed(files)))):
        for name in names:
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_bytes(files[name])
    (first / "optimizer.pt").write_bytes(b"not part of a model")
    streams = [io.BytesIO(), io.BytesIO()]

    digests = [
        pack_directory(directory, stream) for directory, stream in zip((first, second), streams, strict=True)
    ]

    assert digests[0] == digests[1]
    assert streams[0].getvalue() == streams[1].getvalue()
    data = streams[0].getvalue()
    parts = [data[start : start + 777] for start in range(0, len(data), 777)]
    assert unpack_model(parts, tmp_path / "back", limit_bytes=1_000_000) == digests[0]
    back = {
        p.relative_to(tmp_path / "back").as_posix(): p.read_bytes() for p in (tmp_path / "back").rglob("*.*")
    }
    assert back == files


def test_a_directory_without_safetensors_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")

    with pytest.raises(ProviderRejectedError) as refusal:
        pack_directory(tmp_path, io.BytesIO())

    assert refusal.value.code == "no_weights"
