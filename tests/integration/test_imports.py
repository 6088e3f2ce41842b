"""Files as they come: through the real upload form, the real worker, to the real report."""

import bz2
import codecs
import json
from typing import Any

import pytest

from tests.integration.main_job import PATIENCE, Work, new_project
from tests.integration.rows import distinct_tickets, jsonl, row
from tests.integration.stack import Together

pytestmark = pytest.mark.integration

GOOD = row(("user", "Where is my parcel?"), ("assistant", "shipping"))
TEN_MEGABYTES = 10_000_000


@pytest.fixture(scope="module")
def work(together: Together) -> Work:
    return new_project(together, "Imports")


def problems(work: Work, number: int) -> list[tuple[int, str, str]]:
    found = work.stack.rows(
        "SELECT line, code, path FROM datasets_importproblem WHERE import_id = %s ORDER BY line, id", number
    )
    return [(each["line"], each["code"], each["path"]) for each in found]


def checked(work: Work, content: bytes, name: str) -> int:
    number = work.import_number(work.upload(content, f"{name}.jsonl"))
    if work.wait_for_import(number, "checked", "unmapped")["state"] == "unmapped":
        mapping = work.visitor.get(f"{work.base}data/imports/{number}/mapping/")
        chat: dict[str, Any] = {"preset": "chat", "shown": "chat", "part_messages": "messages"}
        work.visitor.submit(mapping, "Check the file", check="1", **chat)
        work.wait_for_import(number, "checked")
    return number


BAD_LINES = [
    # what is uploaded, the code it must get, where
    ('{"messages": [{"role": "user", "content": "Prüfung"}, {"role": "assistant", "content": "a"}]}'.encode("latin-1"),
     "not_utf8", ""),
    (b'{"messages": [{"role": "user", "content": "a\x00b"}, {"role": "assistant", "content": "c"}]}',
     "nul_character", ""),
    (b'{"messages": [{"role": "user", "content": "a\\u0000b"}, {"role": "assistant", "content": "c"}]}',
     "nul_character", "$.messages[0].content"),
    (b'{"messages": [{"role": "user", "content": "half \\ud83d"}, {"role": "assistant", "content": "c"}]}',
     "lone_surrogate", "$.messages[0].content"),
    (GOOD[:-9], "cut_json", ""),
    (row(("human", "Hello?"), ("assistant", "Hi.")), "unknown_role", "$.messages[0].role"),
    (row(("user", "Anybody there?")), "no_answer", "$.messages"),
    (row(("assistant", "I speak first."), ("user", "Why?")), "role_order", "$.messages[0].role"),
    (row(("user", "Hello?"), ("assistant", "")), "empty_answer", "$.messages[1].content"),
    (b'{"prompt": "Hello?", "completion": "Hi."}', "no_messages", "$"),
    (b"not json at all", "not_json", ""),
    (b'["a", "list"]', "not_an_object", "$"),
]  # fmt: skip


def test_every_bad_line_is_named_and_every_good_one_is_kept(work: Work):
    lines = [GOOD]
    for bad, _, _ in BAD_LINES:
        lines += [bad, row(("user", f"Question {len(lines)}?"), ("assistant", "An answer."))]
    good = [line for line in lines if line not in {bad for bad, _, _ in BAD_LINES}]

    number = checked(work, jsonl(lines), "mixed")

    report = work.import_row(number)
    assert (report["row_count"], report["problem_count"]) == (len(BAD_LINES) + 1, len(BAD_LINES))
    first = {line: (code, path) for line, code, path in reversed(problems(work, number))}
    assert first == {2 * n + 2: (code, path) for n, (_, code, path) in enumerate(BAD_LINES)}
    page = work.import_page(number).text
    assert "Byte 46 of the line is not UTF-8" in page
    assert '“human” is not a role; write "user"' in page
    assert work.visitor.get(f"{work.base}data/imports/{number}/rejected/").response.content == jsonl(
        [bad for bad, _, _ in BAD_LINES]
    )
    work.commit(number)
    work.wait_for_import(number, "committed")
    kept = work.stack.rows("SELECT raw FROM datasets_example WHERE source_id = %s ORDER BY line", number)
    assert [bytes(each["raw"]) for each in kept] == good


def test_an_empty_file_is_refused_at_the_door(work: Work):
    page = work.upload(b"", "empty.jsonl")

    assert page.status == 422
    assert "The file is empty" in page.text
    assert work.stack.rows("SELECT id FROM datasets_import WHERE file_name = 'empty.jsonl'") == []
    assert work.stack.rows("SELECT id FROM datasets_dataset WHERE name = 'empty'") == []


def test_a_byte_order_mark_is_passed_over(work: Work):
    number = checked(work, codecs.BOM_UTF8 + jsonl([GOOD]), "mark")

    assert problems(work, number) == []
    assert "byte order mark" in work.import_page(number).text
    work.commit(number)
    work.wait_for_import(number, "committed")
    (kept,) = work.stack.rows("SELECT raw, payload FROM datasets_example WHERE source_id = %s", number)
    assert bytes(kept["raw"]) == GOOD
    assert kept["payload"] == json.loads(GOOD)


def test_a_line_of_ten_megabytes_does_not_stop_the_next(work: Work):
    long = row(("user", "x" * TEN_MEGABYTES), ("assistant", "y"))

    number = checked(work, jsonl([GOOD, long, row(("user", "And this?"), ("assistant", "Yes."))]), "long")

    assert problems(work, number) == [(2, "line_too_long", "")]
    assert work.import_row(number)["row_count"] == 2


@pytest.mark.parametrize(
    ("name", "content", "code", "said"),
    [
        ("packed", bz2.compress(b'{"messages": []}\n'), "compressed_file", "compressed with bzip2"),
        ("utf16", '{"messages": []}\n'.encode("utf-16"), "utf16_file", "UTF-16"),
        ("paper", b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n", "not_text", "This is a PDF file"),
    ],
)
def test_a_file_of_another_kind_gets_one_sentence(work: Work, name, content, code, said):
    number = checked(work, content, name)

    assert problems(work, number) == [(1, code, "")]
    page = work.import_page(number).text
    assert "Nothing in this file can be imported" in page
    assert said in page
    assert work.import_row(number)["row_count"] == 0


def test_the_same_file_twice_adds_its_rows_once(work: Work):
    content = jsonl(distinct_tickets(30))
    dataset = work.imported(content, "once.jsonl")

    number = work.import_number(work.upload(content, "once.jsonl", dataset=dataset))
    again = work.wait_for_import(number, "checked", limit=PATIENCE)

    assert (again["row_count"], again["already_in_dataset"]) == (30, 30)
    page = work.import_page(number)
    assert "All rows are in the dataset already" in page.text
    assert "This very file was uploaded before" in page.text
    refused = work.visitor.submit(page, "Commit", duplicates="drop")
    assert refused.status == 409
    assert "there is nothing to add" in refused.text
    assert work.stack.value("SELECT count(*) FROM datasets_example WHERE dataset_id = %s", dataset) == 30
