"""Real queries with planted faults: CLINC150 (Larson et al., 2019), where it lies beside the repository."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from apps.datasets.models import Example, FindingRow
from apps.datasets.selectors import head_of
from apps.datasets.services import checks_request
from apps.operations.models import OperationState
from tests.datasets.conftest import lines, row

pytestmark = pytest.mark.django_db(transaction=True)
DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "clinc150" / "data_full.json"
SPLITS = {"train": "train", "val": "validation", "test": "test"}
E_MAIL, IBAN = "jane.roe@mail.acme.io", "GB82 WEST 1234 5698 7654 32"


def queries() -> list[tuple[str, str, str]]:
    if not DATA.is_file():
        pytest.skip(f"CLINC150 is not at {DATA}")
    content = json.loads(DATA.read_text("utf-8"))
    return [
        (text, intent, SPLITS[name.removeprefix("oos_")])
        for name, part in content.items()
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


def test_every_fault_planted_in_clinc150_is_found(upload, commit, work, people):
    rows = queries()
    assert len(rows) == 23_700
    assert len({intent for _, intent, _ in rows}) == 151
    faults = planted(rows)
    everything = rows + [each for part in faults.values() for each in part]
    content = lines(*(row(text, intent) for text, intent, _ in everything))
    dataset = commit(upload(content), duplicates="keep").dataset
    keys = list(head_of(dataset).order_by("line").values_list("pk", flat=True))
    assert len(keys) == len(everything)
    for split in SPLITS.values():
        chosen = [key for key, (_, _, of) in zip(keys, everything, strict=True) if of == split]
        Example.objects.filter(pk__in=chosen).update(split=split)
    report = checks_request(dataset=dataset, actor=people.rob)
    (operation,) = work()
    assert operation.state == OperationState.SUCCEEDED, operation.error
    report.refresh_from_db()
    assert report.row_count == len(everything)
    assert all(each["seen"] == each["of"] for each in report.checks)
    place = len(rows)
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
