from apps.providers.adapters.local.inference.spelling import Spelling, before_stop


def spelt(parts: list[bytes]) -> list[str]:
    """What is known after each token, where a token is some bytes of UTF-8."""
    spelling = Spelling(lambda ids: b"".join(parts[number] for number in ids).decode(errors="replace"))
    return [spelling.add(number) for number in range(len(parts))]


def test_half_a_character_is_not_shown():
    # U+20AC is E2 82 AC in UTF-8 (RFC 3629, section 7 shows such sequences).
    assert spelt([b"5 ", b"\xe2\x82", b"\xac", b"!"]) == ["5 ", "5 ", "5 €", "5 €!"]


def test_every_token_is_shown_once():
    assert spelt([b"a", b"b", b"c"]) == ["a", "ab", "abc"]


def test_what_may_become_a_stop_string_is_held_back():
    assert before_stop("one tw", ["two"]) == 4
    assert before_stop("one", ["two"]) == 3
    assert before_stop("a\n", ["\n\n", "END"]) == 1
    assert before_stop("", ["x"]) == 0
