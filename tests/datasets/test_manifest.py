import hashlib

from apps.datasets.manifest import ManifestRow, manifest_hash, manifest_lines


def test_lines_are_canonical_and_the_hash_is_that_of_the_file():
    rows = [ManifestRow(1, "aa", "bb", "train"), ManifestRow(2, "cc", "dd", "test")]
    expected = (
        b'{"content":"aa","position":1,"raw":"bb","split":"train"}\n'
        b'{"content":"cc","position":2,"raw":"dd","split":"test"}\n'
    )
    assert b"".join(manifest_lines(rows)) == expected
    assert manifest_hash(rows) == hashlib.sha256(expected).hexdigest()


def test_position_bytes_and_split_all_count():
    row = ManifestRow(1, "aa", "bb", "train")
    others = [row._replace(**change) for change in ({"position": 2}, {"raw_hash": "x"}, {"split": "test"})]
    assert len({manifest_hash([each]) for each in (row, *others)}) == 4
