"""Files of another kind are named for what they are."""

import codecs
import gzip

import pytest

from apps.datasets.file_kinds import unusable_file
from tests.datasets.conftest import lines, row


@pytest.mark.parametrize(
    ("head", "code", "words"),
    [
        (b"", "empty_file", "empty"),
        (b"\n \n\r\n", "empty_file", "empty lines"),
        (gzip.compress(lines(row("a"))), "compressed_file", "gzip"),
        (b"PK\x03\x04rest", "compressed_file", "ZIP"),
        (b"PAR1\x15\x04", "not_text", "Parquet"),
        (codecs.BOM_UTF16_LE + '{"messages"'.encode("utf-16-le"), "utf16_file", "UTF-16"),
        ('{"messages": []}'.encode("utf-16-le"), "not_text", "UTF-16"),
        (b"text,label\nhello,billing\nworld,bug\n", "csv_file", "commas"),
        (b"text;label\nhello;billing\n", "csv_file", "semicolons"),
        (b"text\tlabel\nhello\tbilling\n", "csv_file", "tabs"),
        (b'[\n{"messages": []},\n', "json_array_file", "jq"),
        (b'[{"messages": []}]', "json_array_file", "jq"),
        (b'{\n  "messages": [\n', "indented_json_file", "several lines"),
        (b"Dear all\nplease find attached\n", "not_json_lines", "No line begins"),
    ],
)
def test_files_of_another_kind(head, code, words):
    problem = unusable_file(head)
    assert problem is not None
    assert problem.code == code
    assert words in problem.message


@pytest.mark.parametrize(
    "head",
    [
        lines(row("a")),
        codecs.BOM_UTF8 + lines(row("a")),
        b"# a comment, with a comma\n" + lines(row("a")),
        b"\r\n\r\n" + lines(row("a")),
        b'{"messages": [{"ro',
    ],
)
def test_files_with_rows_in_them(head):
    assert unusable_file(head) is None
