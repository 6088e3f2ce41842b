import hashlib

import pytest

from apps.artifacts.models import Blob
from apps.artifacts.storage import CHUNK_BYTES, blob_read, blob_store

pytestmark = pytest.mark.django_db


def test_bytes_come_back_as_they_went_in_across_chunk_borders():
    content = bytes(range(256)) * (CHUNK_BYTES // 256) + b"a tail"

    blob = blob_store(content=[content[:10], content[10:]])

    assert blob.sha256 == hashlib.sha256(content).hexdigest()
    assert blob.size == len(content)
    assert blob.chunks.count() == 2
    assert b"".join(blob_read(blob)) == content


def test_the_same_bytes_are_kept_once():
    first = blob_store(content=[b"same"])
    second = blob_store(content=[b"sa", b"me"])

    assert second.pk == first.pk
    assert Blob.objects.count() == 1


def test_nothing_is_a_blob_too():
    blob = blob_store(content=[])

    assert blob.size == 0
    assert b"".join(blob_read(blob)) == b""
