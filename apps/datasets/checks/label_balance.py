"""Whether the labels are balanced, where the answers are labels."""

from collections import Counter
from typing import TYPE_CHECKING

from apps.core.formatting import format_percent
from apps.datasets.checks.results import ACCEPT, ATTENTION, Found, Item, Row, item_key, rows_text

if TYPE_CHECKING:
    from apps.datasets.checks.facts import Facts

MOST_LABELS = 200
USES_A_LABEL = 4
LABEL_CHARACTERS = 60
FEW_ROWS = 10
"""A label with fewer rows can hardly be learnt, nor measured in a test of a tenth of them."""
MOST_TIMES = 20
"""The most frequent label may have so many times the rows of the median one."""


def label_counts(facts: "Facts") -> Counter[str]:
    """How often each label stands; empty where the answers are not labels."""
    counts = Counter(facts.answer_texts)
    if counts.pop("", 0) > len(facts) // 20:
        return Counter()
    is_set = 2 <= len(counts) <= MOST_LABELS and counts.total() >= USES_A_LABEL * len(counts)
    return counts if is_set and all(len(label) <= LABEL_CHARACTERS for label in counts) else Counter()


def balance_findings(facts: "Facts") -> list[Found]:
    counts = label_counts(facts)
    if not counts:
        return []
    ordered = counts.most_common()
    findings = []
    rare = {label for label, count in ordered if count < FEW_ROWS}
    if rare:
        items: dict[str, list[Row]] = {label: [] for label in sorted(rare)}
        for index, answer in enumerate(facts.answer_texts):
            if answer in rare:
                items[answer].append(Row(index, answer))
        findings.append(
            Found(
                check="labels",
                code="rare_labels",
                severity=ATTENTION,
                title=f"{rows_text(len(rare), 'label')} with fewer than {FEW_ROWS} rows",
                detail="Too few to learn them from, and to measure them by. Collect more, or join them with others. A"
                " label that stands once may be a misspelling of another.",
                items=[Item(item_key("rare_label", [label]), tuple(rows)) for label, rows in items.items()],
                actions=(ACCEPT,),
            )
        )
    median = ordered[len(ordered) // 2][1]
    most, count = ordered[0]
    if count > MOST_TIMES * median:
        findings.append(
            Found(
                check="labels",
                code="one_label_prevails",
                severity=ATTENTION,
                title=f"“{most[:60]}” has {format_percent(count / counts.total(), 0)} of the rows",
                detail=f"{count / median:.0f} times as many as the median label. A model gets far by saying it always;"
                " accept it if your users ask like that, too.",
                items=[Item(item_key("one_label_prevails", [most]))],
                evidence={"labels": [[label, number] for label, number in ordered[:50]]},
            )
        )
    return findings
