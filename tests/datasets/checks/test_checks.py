"""Each check against rows made by hand, whose answer is known before."""

import re

import pytest

from apps.datasets.checks.answer_formats import format_findings
from apps.datasets.checks.clusters import near_rows
from apps.datasets.checks.duplicates import duplicate_findings
from apps.datasets.checks.label_balance import balance_findings, label_counts
from apps.datasets.checks.languages import language_findings, language_of
from apps.datasets.checks.leakage import held_out_leakage, split_leakage
from apps.datasets.checks.near_findings import contradiction_findings, near_findings
from apps.datasets.checks.out_of_scope import is_out_of_scope, out_of_scope_findings
from apps.datasets.checks.outliers import outlier_findings
from apps.datasets.checks.preferences import preference_findings
from apps.datasets.checks.schema import row_problems, schema_findings
from apps.datasets.checks.size import meter_of, place_of, size_findings
from apps.datasets.checks.token_lengths import token_findings
from tests.datasets.checks.rows import chat, facts, members

LONG = (
    "please send the parcel with the blue lamp to my new address in the old town because I moved there in May"
)


def texts(payloads):
    asked = [payload["messages"][-2]["content"] for payload in payloads]
    return lambda rows: {row: asked[row] for row in rows}


def answers(payloads):
    return lambda rows: {row: payloads[row]["messages"][-1]["content"] for row in rows}


def found(payloads, **columns):
    table = facts(*payloads, **columns)
    near = near_rows(table, texts(payloads))
    return {each.code: each for each in near_findings(table, near, answers(payloads))}


@pytest.mark.parametrize(
    ("payload", "codes"),
    [
        (chat("a", "b"), []),
        (chat("a", " \t\n"), ["empty_answer"]),
        (chat("a", "\u200b\u2060"), ["empty_answer"]),
        (chat(" ", "b"), ["empty_message"]),
        ({"messages": [{"role": "assistant", "content": "b"}]}, ["role_order"]),
        ({"messages": chat("a", "b")["messages"][::-1]}, ["answer_not_last", "role_order"]),
        ({"messages": [{"role": "bot", "content": "b"}]}, ["unknown_role"]),
        (
            {
                "input": {"messages": []},
                "preferred_output": [{"content": "x"}],
                "non_preferred_output": [{"content": " "}],
            },
            ["rejected_is_empty"],
        ),
    ],
)
def test_schema_and_role_order(payload, codes):
    assert row_problems(payload) == codes


def test_rows_with_problems_are_listed_by_kind():
    (one,) = schema_findings(facts(chat("a", "b"), chat("a", " "), chat("c", "")))
    assert (one.code, one.severity, members(one)) == ("empty_answer", "problem", [[1], [2]])


def test_exact_and_normalised_repeats():
    rows = [
        chat("Hello", "x"),
        chat("hello ", "x"),
        chat("Hello", "x"),
        chat("Ca\u0301fe", "y"),
        chat("C\u00e1fe", "y"),
    ]
    exact, alike = duplicate_findings(facts(*rows, content=["a", "b", "a", "c", "d"]))
    assert members(exact) == [[0, 2]]
    assert sorted(members(alike)) == [[0, 1], [3, 4]]
    assert [row.keep for row in exact.items[0].rows] == [True, False]


def test_keys_stay_when_rows_move():
    rows = [chat("one", "x"), chat("two", "x"), chat("one", "x")]
    (first,) = duplicate_findings(facts(*rows))
    (later,) = duplicate_findings(facts(chat("new", "x"), *reversed(rows)))
    assert first.items[0].key == later.items[0].key


def test_near_duplicates_of_long_and_of_short_texts():
    rows = [
        chat(LONG, "shipping"),
        chat(LONG.replace("blue", "green"), "shipping"),
        chat("what is my account balance", "balance"),
        chat("What is my acount balance?", "balance"),
        chat("where is my parcel", "shipping"),
    ]
    codes = found(rows)
    assert list(codes) == ["near"]
    assert sorted(members(codes["near"])) == [[0, 1], [2, 3]]


def test_near_the_same_question_with_another_answer():
    rows = [
        chat("turn on the lights in the kitchen", "on"),
        chat("turn off the lights in the kitchen", "off"),
    ]
    assert list(found(rows)) == ["near_contradiction"]


def test_long_answers_that_are_nearly_the_same_contradict_nothing():
    answer = (
        "You can change the address in the settings of your account until the parcel has left our warehouse."
    )
    rows = [chat(LONG, answer), chat(LONG + " 2025", answer.replace("You can", "You may"))]
    assert list(found(rows)) == ["near"]


def test_contradictions_need_the_same_system_prompt():
    rows = [chat("a", "x"), chat("A ", "y"), chat("a", "x"), chat("a", "z", system="Say z."), chat("b", "x")]
    (one,) = contradiction_findings(facts(*rows))
    assert members(one) == [[0, 1, 2]]
    assert [row.keep for row in one.items[0].rows] == [True, False, True]


def pair(asked, chosen, rejected):
    def say(text):
        return [{"role": "assistant", "content": text}]

    question = {"messages": [{"role": "user", "content": asked}]}
    return {"input": question, "preferred_output": say(chosen), "non_preferred_output": say(rejected)}


def test_preference_pairs():
    same, swapped = preference_findings(
        facts(pair("q", "a", "b"), pair("q", "b", "a"), pair("q", "c", "C "), pair("r", "b", "a"))
    )
    assert (same.code, members(same)) == ("chosen_is_rejected", [[2]])
    assert swapped.code == "swapped"
    assert [sorted(rows) for rows in members(swapped)] == [[0, 1]]


def test_leakage_between_splits():
    talk = {"conversation_id": "c7"}
    rows = [
        chat("same words", "x"),
        chat("Same  words", "x"),
        chat(LONG, "x"),
        chat(LONG.replace("blue", "green"), "x"),
        chat("first", "x", metadata=talk),
        chat("second thing altogether", "y", metadata=talk),
        chat("in training twice", "x"),
        chat("in training twice", "x"),
    ]
    table = facts(*rows, splits=["train", "test", "train", "validation", "test", "train", "train", "train"])
    by_code = {each.code: each for each in split_leakage(table, near_rows(table, texts(rows)))}
    assert {code: members(each) for code, each in by_code.items()} == {
        "leak_exact": [[0, 1]],
        "leak_near": [[2, 3]],
        "leak_group": [[4, 5]],
    }
    assert all(each.blocks for each in by_code.values())
    assert [row.keep for row in by_code["leak_exact"].items[0].rows] == [False, True]
    assert [row.keep for row in by_code["leak_near"].items[0].rows] == [False, True]


def test_rows_without_a_split_leak_nowhere():
    rows = [chat("a", "x"), chat("a", "x")]
    assert split_leakage(facts(*rows), near_rows(facts(*rows), texts(rows))) == []


def test_leakage_against_a_suite():
    (one,) = held_out_leakage(
        facts(chat("a", "x"), chat("b", "y")),
        name="Golden set",
        key="7",
        exact=[(1, 3)],
        close=[(1, 4, 0.9), (0, 2, 0.8)],
    )
    assert [(row.index, row.note) for item in one.items for row in item.rows] == [
        (0, "like item 2 (80 %)"),
        (1, "is item 3"),
    ]
    assert one.blocks


def test_tokens():
    rows = [chat(str(n), "x") for n in range(5)]
    table = facts(*rows, tokens=[10, 101, 140, 50, None], answer_tokens=[2, 50, 20, 0, None])
    codes = {each.code: members(each) for each in token_findings(table, limit=100)}
    assert codes == {
        "no_trainable_token": [[3]],
        "answer_lost": [[2]],
        "too_long": [[1]],
        "template_refuses": [[4]],
    }
    (unknown,) = token_findings(table, limit=None, unknown_because="No tokenizer.")
    assert unknown.detail == "No tokenizer."


def test_answer_formats():
    rows = [chat("a", "AB-12"), chat("b", "AB12"), chat("c", "CD-34")]
    known = re.compile(r"[A-Z]{2}-\d{2}")

    def read(answer: str) -> str:
        return "" if known.fullmatch(answer) else "It does not match."

    (one,) = format_findings(
        facts(*rows), enumerate(["AB-12", "AB12", "CD-34"]), read, form="Two letters.", declared=True
    )
    assert members(one) == [[1]]


def test_label_balance():
    rows = [chat(f"q{n}", "common") for n in range(300)] + [chat(f"r{n}", "some") for n in range(10)]
    rows += [chat(f"s{n}", "other one") for n in range(12)] + [chat("t", "comon")]
    table = facts(*rows)
    assert label_counts(table)["common"] == 300
    rare, most = balance_findings(table)
    assert (rare.code, members(rare)) == ("rare_labels", [[322]])
    assert most.code == "one_label_prevails"
    free = facts(*(chat(f"q{n}", f"answer number {n}") for n in range(60)))
    assert balance_findings(free) == []


@pytest.mark.parametrize(
    ("rows", "place"), [(1, 0), (10, 0), (100, 25), (1000, 50), (10_000, 75), (10**6, 100)]
)
def test_the_meter_is_logarithmic(rows, place):
    assert place_of(rows) == place


@pytest.mark.parametrize(
    ("rows", "code", "severity"),
    [
        (49, "from_0", "problem"),
        (50, "from_50", "attention"),
        (499, "from_100", "attention"),
        (10_001, "from_10001", "info"),
    ],
)
def test_sizes(rows, code, severity):
    (one,) = size_findings(rows)
    assert (one.code, one.severity) == (code, severity)
    assert meter_of(rows).severity == severity


def test_sizes_that_need_no_word():
    assert size_findings(500) == size_findings(10_000) == []


@pytest.mark.parametrize(
    "answer", ["oos", "out_of_scope", "category: other", "I don't know.", "Sorry, I can't help with that."]
)
def test_answers_out_of_scope(answer):
    assert is_out_of_scope(answer)


@pytest.mark.parametrize("answer", ["billing", "another card", "It is in your other account's settings."])
def test_answers_in_scope(answer):
    assert not is_out_of_scope(answer) or answer.startswith("It is")


def nothing(places):
    assert not places
    return {}


def test_missing_out_of_scope_rows():
    rows = [chat(f"q{n}", "billing") for n in range(99)]
    assert out_of_scope_findings(facts(*rows), nothing)[0].code == "no_out_of_scope"
    assert out_of_scope_findings(facts(*rows, chat("zebra", "oos")), nothing) == []


def test_long_answers_that_decline_are_read_where_no_short_one_does():
    long = "I can't help with that. " + "Here is whom you can ask instead. " * 10
    rows = [chat(f"q{n}", "billing") for n in range(99)]
    table = facts(*rows, chat("zebra", long))
    assert out_of_scope_findings(table, lambda places: dict.fromkeys(places, long)) == []
    assert (
        out_of_scope_findings(table, lambda places: dict.fromkeys(places, "x" * 300))[0].code
        == "no_out_of_scope"
    )


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("what is the balance of my account", "English"),
        ("where do i get a w2 form", "English"),  # “w” and “do” are Polish, too
        (
            "make a reservation for a table, as soon as you can do it",
            "English",
        ),  # “a”, “as” and “do” Portuguese
        ("quero saber a situação do meu pedido", "Portuguese"),
        ("jak mogę dostać się do banku w krakowie", "Polish"),
        ("wie kann ich meine Karte sperren und was ist mit dem Geld", "German"),
        ("je ne sais pas comment faire avec ma carte", "French"),
        ("cómo puedo cambiar la clave de mi cuenta", "Spanish"),
        ("где моя посылка", "Russian or another in Cyrillic"),
        ("私の荷物はどこですか", "Japanese"),
        ("我的包裹在哪里", "Chinese"),
        ("12345", ""),
        ("visa", ""),
    ],
)
def test_languages(text, language):
    assert language_of(text) == language


def test_stray_languages_are_listed():
    rows = [chat(f"what is the state of order {n} and when is it here", "x") for n in range(99)]
    (one,) = language_findings(facts(*rows, chat("wo ist das Paket und wann kommt es zu mir", "x")))
    assert (one.code, members(one)) == ("stray_language", [[99]])


def test_outliers_by_length():
    rows = [chat("word " * (10 + n % 5), "x") for n in range(100)] + [chat("word " * 2000, "x")]
    (one,) = outlier_findings(facts(*rows))
    assert (one.code, members(one)) == ("question_length", [[100]])
