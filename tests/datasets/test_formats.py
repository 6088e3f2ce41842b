"""Readers of files: what they cut out, where it stood, and what they refuse."""

import csv
import gzip
import io
import json
from collections.abc import Callable

import pyarrow
import pytest
import zstandard
from pyarrow import parquet

from apps.datasets.formats import FileError, Record, Source, read_records, recognise
from apps.datasets.formats.records import UNREAD
from apps.datasets.formats.source import unpacked
from apps.datasets.json_text import decoded_json

LIMIT = 1000


def source(data: bytes, *, piece: int = 7, expansion_limit: int = 10**9) -> Source:
    """Bytes that come in small pieces, so that every place is once at the edge of one."""

    def chunks(offset: int):
        return (data[start : start + piece] for start in range(offset, len(data), piece))

    return Source(chunks, lambda: io.BytesIO(data), len(data), expansion_limit)


def read(data: bytes, name: str = "file", *, piece: int = 7, after: int = 0) -> list[Record]:
    place = source(data, piece=piece)
    return list(read_records(place, recognise(place, name, limit=LIMIT), limit=LIMIT, after=after))


def value(record: Record):
    return decoded_json(record.raw) if record.value is UNREAD else record.value


def refusal(data: bytes, name: str = "file", **more) -> str:
    place = source(data, **more)
    with pytest.raises(FileError) as error:
        list(read_records(place, recognise(place, name, limit=LIMIT), limit=LIMIT))
    return error.value.problem.code


ROWS = [
    {"text": 'a "quoted" one\\', "n": 1, "deep": {"list": [1, [2]], "brackets": "]}[{"}},
    {"text": "Grüße, 👋", "empty": [], "none": None},
    {"text": "\u00e9\n\t", "escaped": '\\"'},
]
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("piece", [1, 3, 64, 100_000])
def test_a_json_list_is_cut_into_its_rows(pack, indent, piece):
    data = json.dumps(ROWS, indent=indent, ensure_ascii=False).encode()
    found = read(PACKERS[pack](data), piece=piece)
    assert [value(record) for record in found] == ROWS
    assert [record.number for record in found] == [1, 2, 3]
    for record, row in zip(found, ROWS, strict=True):
        assert record.offset is not None
        assert json.loads(data[record.offset : record.offset + record.length]) == row
        assert b"\n" not in record.raw


def test_an_element_on_one_line_is_kept_byte_for_byte():
    rows = [b'{"a" :1.50 ,  "b":1e2}', b'["x" , "y"]', b'"text"', b"12", b"null"]
    assert [record.raw for record in read(b"[" + b" ,".join(rows) + b"\n]\n")] == rows


def test_the_lists_of_an_object_are_its_sections_and_other_values_are_passed_over():
    data = json.dumps(
        {"train": [["a", "x"]], "version": "1.0", "info": {"k": [1]}, "test": [["b", "y"], ["c", "z"]]}
    )
    found = read(data.encode())
    assert [(record.section, value(record)) for record in found] == [
        ("train", ["a", "x"]),
        ("test", ["b", "y"]),
        ("test", ["c", "z"]),
    ]


@pytest.mark.parametrize("indent", [None, 2])
def test_lists_of_rows_are_found_behind_other_values(indent):
    data = json.dumps(
        {"version": '1 "b"', "size": 2, "none": [], "data": [{"a": 1}, {"a": 2}]}, indent=indent
    )
    found = read(data.encode())
    assert [(record.section, value(record)) for record in found] == [("data", {"a": 1}), ("data", {"a": 2})]


def test_one_row_with_lists_is_a_row():
    row = {"id": 7, "documents": [{"title": "x"}], "messages": [{"role": "user", "content": "a"}]}
    (found,) = read(json.dumps(row).encode())
    assert found.section == ""


@pytest.mark.parametrize(
    ("data", "before", "code"),
    [
        (b'[{"a": 1}, {"a": 2', 1, "cut_json"),
        (b'[{"a": 1} {"a": 2}]', 1, "broken_list"),
        (b'[{"a": 1},]', 1, "broken_list"),
        (b'[{"a": 1}] trailing', 1, "broken_list"),
        (b'[{"a": 1}', 1, "broken_list"),
    ],
)
def test_a_broken_list_gives_what_came_before_and_says_where_it_broke(data, before, code):
    place = source(data)
    records = read_records(place, recognise(place, "file", limit=LIMIT), limit=LIMIT)
    found: list[Record] = []
    with pytest.raises(FileError) as error:
        found.extend(records)
    assert len(found) == before
    assert error.value.problem.code == code


def test_a_row_over_the_limit_is_one_problem_and_reading_goes_on():
    long = json.dumps({"text": "x" * 5000, "more": ["]", '"']})
    found = read(f'[{{"a": 1}}, {long}, {{"a": 2}}]'.encode())
    assert [record.problem.code if record.problem else value(record) for record in found] == [
        {"a": 1},
        "line_too_long",
        {"a": 2},
    ]
    assert found[1].length == len(long)


def test_reading_goes_on_behind_a_row():
    rows = [{"n": n} for n in range(9)]
    for data in (
        json.dumps(rows).encode(),
        gzip.compress(b"".join(json.dumps(r).encode() + b"\n" for r in rows)),
    ):
        assert [value(record)["n"] for record in read(data, after=6)] == [6, 7, 8]


# --- CSV ------------------------------------------------------------------------------------------------------

CELLS = [
    ["a", "plain"],
    ["two\nlines, and a comma", 'a "quote"'],
    ["", "empty before"],
    ["Grüße", "end"],
]


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_csv_is_read_with_its_lines_and_bytes(pack, delimiter, line_end):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end)
    writer.writerows([["text", "label"], *CELLS])
    data = b"\xef\xbb\xbf" + text.getvalue().encode()
    found = read(PACKERS[pack](data))
    assert [list(record.value.values()) for record in found] == CELLS
    assert [(record.number, record.last) for record in found] == [(2, 2), (3, 4), (5, 5), (6, 6)]
    for record in found:
        assert record.offset is not None
        assert data[record.offset :].startswith(record.raw)


def test_ragged_rows_are_told_apart_from_good_ones():
    found = read(b"text,label\na,x\nb\nc,y,z\n\nd,w\n", "rows.csv")
    codes = [record.problem.code if record.problem else "" for record in found if not record.is_empty]
    assert codes == ["", "ragged_row", "ragged_row", ""]
    assert [record.number for record in found if record.problem] == [3, 4]


def test_a_quote_that_never_closes_costs_one_row_not_the_rest_of_the_file():
    found = read(b'text,label\na,x\n"open,y\nb,z\nc,w\n', "rows.csv")
    assert [record.problem.code if record.problem else list(record.value.values()) for record in found] == [
        ["a", "x"],
        "unclosed_quote",
        ["b", "z"],
        ["c", "w"],
    ]
    assert found[1].raw == b'"open,y'


def test_text_behind_a_closing_quote_and_bytes_that_are_no_utf8_are_reported():
    found = read(b'text,label\n"a"b,x\ncaf\xe9,y\nc,z\n', "rows.csv")
    assert [record.problem.code if record.problem else "" for record in found] == [
        "bad_quotes",
        "not_utf8",
        "",
    ]
    assert found[1].problem is not None
    assert found[1].problem.byte == 3


def test_a_column_without_a_name_is_called_by_its_place():
    found = read(b",text,label,\n0,a,x,\n1,b,y,\n", "frame.csv")  # as pandas writes its index
    assert found[1].value == {"column 1": "1", "text": "b", "label": "y", "column 4": ""}


@pytest.mark.parametrize("header", [b"text,text", b","])
def test_a_header_that_names_columns_twice_or_not_at_all_is_refused(header):
    assert refusal(header + b"\na,b\n", "rows.csv") == "bad_header"


# --- Parquet --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", PACKERS)
def test_parquet_with_nested_types_becomes_plain_json(pack):
    table = pyarrow.table(
        {
            "messages": pyarrow.array(
                [
                    [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "name": "n"}],
                    [{"role": "user", "content": "c"}],
                ]
            ),
            "score": pyarrow.array([1.5, float("nan")]),
            "map": pyarrow.array([[("k", 1)], []], pyarrow.map_(pyarrow.string(), pyarrow.int64())),
            "day": pyarrow.array([86400, None], pyarrow.date32()).cast(pyarrow.date32()),
            "blob": pyarrow.array([b"plain", b"\xff\xfe"]),
        }
    )
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    found = read(PACKERS[pack](sink.getvalue()))
    assert found[0].value == {
        "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "name": "n"}],
        "score": 1.5,
        "map": {"k": 1},
        "day": "2206-07-23",  # 86,400 days after 1 January 1970
        "blob": "plain",
    }
    assert found[1].value == {
        "messages": [{"role": "user", "content": "c"}],
        "score": None,
        "map": [],
        "blob": "//4=",
    }
    assert json.loads(found[0].raw) == found[0].value


def test_a_parquet_file_that_was_cut_off_is_refused():
    sink = io.BytesIO()
    parquet.write_table(pyarrow.table({"a": [1, 2]}), sink)
    assert refusal(sink.getvalue()[:-20]) == "damaged_archive"


def test_a_long_value_that_every_row_repeats_does_not_fill_memory():
    # 20 kB of file; all rows together hold 3 GB of text.
    text = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([0] * 3000, pyarrow.int32()), pyarrow.array(["a" * 1_000_000])
    )
    message = pyarrow.StructArray.from_arrays([text], ["content"])
    messages = pyarrow.ListArray.from_arrays(pyarrow.array(range(3001), pyarrow.int32()), message)
    sink = io.BytesIO()
    parquet.write_table(pyarrow.table({"messages": messages, "text": text}), sink, store_schema=False)
    data = sink.getvalue()
    assert len(data) < 200_000
    before = pyarrow.default_memory_pool().max_memory()
    place = source(data, expansion_limit=50_000_000)
    with pytest.raises(FileError) as error:
        list(read_records(place, recognise(place, "bomb.parquet", limit=LIMIT), limit=LIMIT))
    assert error.value.problem.code == "expands_too_far"
    assert pyarrow.default_memory_pool().max_memory() - before < 300_000_000


# --- Bombs and damage -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", ["gzip", "zstd"])
def test_a_bomb_is_refused_before_it_fills_memory(pack):
    bomb = PACKERS[pack](b"a" * 100_000_000)
    sizes = (len(piece) for piece in unpacked([bomb], pack, limit=10**9))
    most = next(sizes)
    with pytest.raises(FileError) as error:
        most = max(sizes)
    assert error.value.problem.code == "expands_too_far"
    assert most < 40_000_000


@pytest.mark.parametrize("pack", ["gzip", "zstd"])
def test_a_file_may_not_unpack_to_more_than_the_limit(pack):
    rows = b"".join(b'{"number": %d}\n' % number for number in range(5000))
    assert refusal(PACKERS[pack](rows), piece=4096, expansion_limit=50_000) == "expands_too_far"


@pytest.mark.parametrize("pack", ["gzip", "zstd"])
def test_an_archive_that_was_cut_off_is_refused(pack):
    whole = PACKERS[pack](b'{"a": 1, "b": "some text"}\n' * 500)
    assert refusal(whole[:-3]) == "damaged_archive"


def test_an_archive_that_was_changed_is_refused():
    whole = gzip.compress(b'{"a": 1, "b": "some text"}\n' * 500)
    assert refusal(whole[:-6] + b"\x00\xff" + whole[-4:]) == "damaged_archive"


@pytest.mark.parametrize("pack", ["gzip", "zstd"])
def test_several_members_are_read_as_one_file(pack):
    parts = [PACKERS[pack](json.dumps({"n": n}).encode() + b"\n") for n in range(3)]
    assert [value(record)["n"] for record in read(b"".join(parts))] == [0, 1, 2]
