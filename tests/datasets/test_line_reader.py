import pytest

from apps.datasets.line_reader import HEAD_BYTES, read_lines

FILE = b'{"a":1}\r\n\n{"b":2}\n' + b"x" * 500 + b'\r\n{"c":3}\r\n\r\nlast'


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10, 64, 499, 500, 501, 10_000])
def test_lines_are_the_same_however_the_file_is_cut(size):
    found = list(read_lines(cut(FILE, size), limit=1000))
    # Expected: what Python's own splitting at LF gives, line ends left out.
    expected = [line.removesuffix(b"\r") for line in FILE.split(b"\n")]
    assert [line.data for line in found] == expected
    assert [line.number for line in found] == list(range(1, 8))
    assert all(FILE[line.offset : line.offset + line.length] == line.data for line in found)
    assert [line.offset for line in found[1:]] == [line.end for line in found[:-1]]
    assert found[-1].end == len(FILE)


@pytest.mark.parametrize("size", [1, 3, 50, 250, 10_000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_a_line_over_the_limit_is_measured_but_not_kept(size, end):
    data = b"short\n" + b"y" * 5000 + end + (b"after" if end else b"")
    found = list(read_lines(cut(data, size), limit=100))
    assert (found[1].over_limit, found[1].length, found[1].data) == (True, 5000, b"y" * HEAD_BYTES)
    assert [line.data for line in found[2:]] == ([b"after"] if end else [])
    assert not found[0].over_limit


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_a_line_of_exactly_the_limit_passes_with_either_line_end(size):
    data = b"z" * 100 + b"\r\n" + b"z" * 100 + b"\n" + b"z" * 101 + b"\n"
    assert [line.over_limit for line in read_lines(cut(data, size), limit=100)] == [False, False, True]


def test_reading_goes_on_in_the_middle():
    whole = list(read_lines([FILE], limit=1000))
    rest = list(read_lines([FILE[whole[2].end :]], limit=1000, offset=whole[2].end, line_number=3))
    assert rest == whole[3:]


def test_nothing_has_no_lines():
    assert list(read_lines([], limit=10)) == []
