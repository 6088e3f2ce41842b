"""Planted faults among 23,700 queries of 150 intents: see `intents`."""

import json
import random
from typing import Any

import pytest

from apps.datasets.models import FindingRow, Version
from apps.datasets.selectors import head_of
from apps.datasets.selectors_checks import blocking_findings
from apps.datasets.services import checks_request, finding_decide, version_diff
from apps.operations.models import OperationState
from tests.datasets.conftest import lines
from tests.datasets.intents import published_file

pytestmark = pytest.mark.django_db(transaction=True)
SPLITS = {"train": "train", "val": "validation", "test": "test"}
E_MAIL, IBAN = "jane.roe@mail.acme.io", "GB82 WEST 1234 5698 7654 32"


def queries() -> list[tuple[str, str, str]]:
    return [
        (text, intent, SPLITS[name.removeprefix("oos_")])
        for name, part in json.loads(published_file()).items()
        for text, intent in part
    ]


def trigrams(text: str) -> set[str]:
    """Three characters at a time, a blank before and after: what the checks say they compare short texts by."""
    padded = f" {text} "
    return {padded[i : i + 3] for i in range(len(padded) - 2)}


def with_slip(text: str, random_: random.Random) -> str | None:
    """The text without one of its letters, where it stays similar enough for a near-duplicate."""
    place = random_.randrange(1, len(text) - 1)
    slipped = text[:place] + text[place + 1 :]
    one, other = trigrams(text), trigrams(slipped)
    return slipped if len(one & other) / len(one | other) >= 0.8 else None


def planted(rows: list[tuple[str, str, str]]) -> dict[str, list[tuple[str, str, str]]]:
    random_ = random.Random(3)
    plain = [each for each in rows if each[0].replace(" ", "").isalpha() and 40 < len(each[0]) < 100]
    train = [each for each in plain if each[2] == "train"]
    picked = random_.sample(train, 400)
    near: list[tuple[str, str, str]] = []
    for text, intent, _ in picked[:150]:
        slipped = with_slip(text, random_)
        if slipped and len(near) < 40:
            near.append((slipped, intent, "train"))
    return {
        "normalised": [(text.upper(), intent, "train") for text, intent, _ in picked[150:200]],
        "near": near,
        "contradiction": [(text, "some other intent", "train") for text, _, _ in picked[200:230]],
        "email": [(f"{text} at {E_MAIL}", intent, "train") for text, intent, _ in picked[230:250]],
        "iban": [(f"{text} from {IBAN}", intent, "train") for text, intent, _ in picked[250:260]],
        "leak_exact": [(text, intent, "test") for text, intent, _ in picked[260:300]],
        "empty_answer": [(text, "\u200b", "train") for text, _, _ in picked[300:305]],
    }


@pytest.fixture
def clean(upload, commit, freeze) -> Version:
    """The queries, imported by a mapping and frozen in the splits that they were published with."""
    mapping = {"preset": "template", "prompt": "{{1}}", "answer": "{{2}}", "split": "section"}
    record = upload(published_file(), name="data_full.json", **mapping)
    assert (record.row_count, record.problem_count) == (23_700, 0)
    dataset = commit(record, duplicates="keep").dataset
    version: Version = freeze(dataset, keeps_splits="on")
    assert (version.train_count, version.validation_count, version.test_count) == (15_100, 3_100, 5_500)
    assert version.statistics["answers"]["distinct"] == 151
    return version


def test_every_fault_that_was_planted_is_found(clean, upload, commit, freeze, work, people):
    faults = planted(queries())
    everything = [each for part in faults.values() for each in part]
    file = lines(*({"text": text, "intent": intent, "split": split} for text, intent, split in everything))
    mapping = {"preset": "template", "prompt": "{{text}}", "answer": "{{intent}}", "split": "split"}
    dataset = commit(
        upload(file, name="faults.jsonl", dataset=clean.dataset, **mapping), duplicates="keep"
    ).dataset
    keys = list(
        head_of(dataset)
        .filter(source__file_name="faults.jsonl")
        .order_by("line")
        .values_list("pk", flat=True)
    )
    assert len(keys) == len(everything)

    report = checks_request(dataset=dataset, actor=people.rob)
    (operation,) = work()
    assert operation.state == OperationState.SUCCEEDED, operation.error
    report.refresh_from_db()
    assert report.row_count == 23_700 + len(everything)
    assert all(each["seen"] == each["of"] for each in report.checks)
    place = 0
    missed: dict[str, Any] = {}
    for code, part in faults.items():
        expected = set(keys[place : place + len(part)])
        place += len(part)
        found = set(
            FindingRow.objects.filter(finding__report=report, finding__code=code).values_list(
                "example_id", flat=True
            )
        )
        if expected - found:
            missed[code] = [everything[keys.index(key)] for key in expected - found]
    assert missed == {}

    blocking = blocking_findings(dataset)
    assert {each.code for each in blocking} >= {"leak_exact"}
    for each in blocking:
        finding_decide(finding=each, action="accept", reason="Planted.", actor=people.rob)
    version = freeze(dataset, keeps_splits="on")
    summary = version_diff(before=clean, after=version).summary
    assert (summary["added"], summary["removed"], summary["changed"]) == (len(everything), 0, 0)
    assert summary["unchanged"] == 23_700
