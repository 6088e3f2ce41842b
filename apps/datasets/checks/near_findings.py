"""Near-duplicates and contradictions, read from rows that ask the same or nearly the same."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from apps.core.formatting import format_percent
from apps.datasets.checks.clusters import NearRows
from apps.datasets.checks.grouping import groups_of_equal
from apps.datasets.checks.near_duplicates import THRESHOLD
from apps.datasets.checks.results import (
    ACCEPT,
    ATTENTION,
    DROP_REPEATS,
    DROP_ROWS,
    PROBLEM,
    Found,
    Item,
    Row,
    item_key,
    rows_text,
)
from apps.datasets.checks.shingles import similarity
from apps.datasets.checks.union_find import UnionFind

if TYPE_CHECKING:
    from apps.datasets.checks.facts import Facts

AnswersOf = Callable[[Sequence[int]], dict[int, str]]
COMPARED_ANSWERS = 60
"""Different answers of one cluster that are compared with one another, longest clusters aside."""


def near_findings(facts: "Facts", near: NearRows, answers_of: AnswersOf) -> list[Found]:
    """Clusters that say the same twice, and clusters that answer nearly the same question differently."""
    repeats: list[Item] = []
    contradicting: list[Item] = []
    for cluster in near.clusters:
        by_answer = _by_answer(facts, cluster, answers_of)
        for rows in by_answer:
            different = _first_of_each_whole(facts, rows)
            if len({int(facts.asked[index]) for index in different}) > 1:
                first, *others = different
                noted = (Row(first, "kept", keep=True), *(Row(index, "nearly the same") for index in others))
                repeats.append(Item(item_key("near", [facts.content[index] for index in different]), noted))
        if len(by_answer) > 1:
            rows_noted = tuple(
                Row(index, f"answer {number}")
                for number, rows in enumerate(by_answer, start=1)
                for index in rows
            )
            contradicting.append(
                Item(
                    item_key("near_contradiction", [facts.content[row.index] for row in rows_noted]),
                    rows_noted,
                )
            )
    findings = []
    if repeats:
        count = sum(len(item.rows) - 1 for item in repeats)
        findings.append(
            Found(
                check="near_duplicates",
                code="near",
                severity=ATTENTION,
                title=f"{rows_text(count, 'near-duplicate')} in {rows_text(len(repeats), 'cluster')}",
                detail=(
                    f"Questions that share at least {format_percent(THRESHOLD, 0)} of their pieces (Jaccard), with"
                    " the same answer."
                    " They teach little more than one of them, and make a test easier than it looks."
                ),
                items=repeats,
                actions=(DROP_REPEATS, ACCEPT),
                evidence={"large_buckets": near.large_buckets},
            )
        )
    if contradicting:
        findings.append(
            Found(
                check="contradictions",
                code="near_contradiction",
                severity=ATTENTION,
                title=f"{rows_text(len(contradicting), 'cluster')} of nearly the same question with different answers",
                detail=(
                    "One word can make all the difference, or one of the answers is wrong. Look at each: drop the rows,"
                    " mend them, or accept that they differ."
                ),
                items=contradicting,
                actions=(DROP_ROWS, ACCEPT),
            )
        )
    return findings


def _first_of_each_whole(facts: "Facts", rows: Sequence[int]) -> list[int]:
    first: dict[int, int] = {}
    for index in rows:
        first.setdefault(int(facts.whole[index]), index)
    return list(first.values())


def _by_answer(facts: "Facts", cluster: Sequence[int], answers_of: AnswersOf) -> list[list[int]]:
    """The rows of a cluster by what they answer; long answers that are nearly the same count as one."""
    rows: dict[int, list[int]] = defaultdict(list)
    for index in cluster:
        rows[int(facts.answer[index])].append(index)
    long = [
        answer
        for answer, members in rows.items()
        if not facts.answer_texts[members[0]] or " " in facts.answer_texts[members[0]]
    ]
    if len(rows) == 1 or not 2 <= len(long) <= COMPARED_ANSWERS:
        return list(rows.values())
    texts = answers_of([rows[answer][0] for answer in long])
    joined = UnionFind()
    for place, one in enumerate(long):
        for other_place in range(place + 1, len(long)):
            other = long[other_place]
            if similarity(texts[rows[one][0]], texts[rows[other][0]]) >= THRESHOLD:
                joined.join(place, other_place)
    merged: dict[int, list[int]] = defaultdict(list)
    for answer, members in rows.items():
        place = long.index(answer) if answer in long else -1
        key = -1 - len(merged) if place < 0 else joined.root(place)
        merged[key] += members
    return [sorted(members) for members in merged.values()]


def contradiction_findings(facts: "Facts") -> list[Found]:
    """The same question, word for word and with the same system prompt, with different answers."""
    items: list[Item] = []
    for group in groups_of_equal(facts.asked):
        members = [int(index) for index in group]
        answers = Counter(int(facts.answer[index]) for index in members)
        if len(answers) < 2:
            continue
        (most, count), (_, second) = answers.most_common(2)
        numbers = {answer: number for number, answer in enumerate(answers, start=1)}
        rows = tuple(
            Row(
                index,
                f"answer {numbers[int(facts.answer[index])]}",
                keep=count > second and int(facts.answer[index]) == most,
            )
            for index in members
        )
        items.append(Item(item_key("contradiction", {facts.content[index] for index in members}), rows))
    if not items:
        return []
    return [
        Found(
            check="contradictions",
            code="contradiction",
            severity=PROBLEM,
            title=f"{rows_text(len(items), 'question')} with different answers",
            detail=(
                "The same question with the same system prompt is answered in two ways, so one of them is unlearnt as"
                " the other is learnt. Dropping keeps the answer that most of the rows give, where there is one."
            ),
            items=items,
            actions=(DROP_ROWS, ACCEPT),
        )
    ]
