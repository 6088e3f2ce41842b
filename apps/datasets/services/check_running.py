"""Running all checks over a dataset or a version: work out what is new, compare everything, write down what was found.

The report is written in one transaction at the end; what is worked out of single rows is kept as it goes, so a check
that was stopped goes on where it was, and that of a version made from a checked one looks at new rows only.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from apps.audit.services import record
from apps.core.states import transition
from apps.datasets.checks.answer_formats import format_findings
from apps.datasets.checks.clusters import NearRows, near_rows
from apps.datasets.checks.duplicates import duplicate_findings
from apps.datasets.checks.facts import Facts
from apps.datasets.checks.label_balance import balance_findings
from apps.datasets.checks.languages import language_findings
from apps.datasets.checks.leakage import split_leakage
from apps.datasets.checks.near_findings import contradiction_findings, near_findings
from apps.datasets.checks.out_of_scope import out_of_scope_findings
from apps.datasets.checks.outliers import outlier_findings
from apps.datasets.checks.personal.detection import looks_for_names
from apps.datasets.checks.personal.findings import personal_findings
from apps.datasets.checks.preferences import preference_findings
from apps.datasets.checks.results import SEVERITIES, Found
from apps.datasets.checks.schema import schema_findings
from apps.datasets.checks.size import size_findings
from apps.datasets.checks.token_lengths import token_findings
from apps.datasets.models import CheckPart, CheckReport, CheckState, Decision, Finding, FindingRow
from apps.datasets.plugs import answer_form_of
from apps.datasets.selectors_checks import head_mark
from apps.datasets.services.check_facts import facts_complete, facts_divide
from apps.datasets.services.check_held_out import held_out_findings
from apps.datasets.services.check_loading import Texts, answers_stream, columns_load
from apps.datasets.tokenizers import context_length_of, tokenizer_of
from apps.operations.models import Operation, OperationState
from apps.operations.progress import Progress

logger = logging.getLogger(__name__)

HELPERS = 3
"""Workers that are asked to take a part in the work, if they are free."""
FORM_SAMPLE = 5000
"""Answers from which a form is proposed where the project declares none."""
TITLES = {
    "schema": "Schema, role order and empty answers",
    "duplicates": "Exact duplicates",
    "near_duplicates": "Near-duplicates",
    "contradictions": "Contradictions",
    "leakage": "Leakage between splits and suites",
    "personal": "Personal data and secrets",
    "tokens": "Token lengths",
    "formats": "Answer formats",
    "labels": "Label balance",
    "size": "Size",
    "out_of_scope": "Out-of-scope cases",
    "languages": "Languages",
    "outliers": "Lengths",
}


def checks_run(*, report: CheckReport, progress: Progress) -> None:
    """Fill the report. Without effect on one that is done already."""
    if report.state == CheckState.FAILED:
        transition(report, CheckState.CHECKING, error="")
    if report.state != CheckState.CHECKING:
        return
    dataset = report.dataset
    mark = head_mark(dataset)
    total = report.version.row_count if report.version else dataset.example_count
    progress.report(0, total=total, unit="rows", message="Looking at each row")
    _, why_unknown = tokenizer_of(dataset.project.base_model)
    parts, new = facts_divide(report)
    _ask_for_help(report, parts - 1)
    facts_complete(report, progress.report)
    progress.report(total, message="Comparing the rows")
    facts = columns_load(report)
    run = _Run(report, facts, progress)
    run.all(why_unknown)
    report.row_count, report.new_count = len(facts), new
    _write(run, mark, progress)


def _ask_for_help(report: CheckReport, parts: int) -> None:
    """Workers that are free take parts, too. Nothing waits for them: what nobody takes is done here."""
    from celery import current_app

    try:
        for _ in range(min(parts, HELPERS)):
            current_app.send_task(
                "apps.datasets.tasks.help_checks", args=[report.pk], expires=60, retry=False
            )
    except Exception as error:  # noqa: BLE001 - the broker client raises many kinds
        logger.warning("checks.no_help", extra={"report": report.pk, "reason": str(error)})


def checks_stopped(*, report: CheckReport, operation: Operation) -> None:
    """The operation ended before the checks did: the report says why. A report that is done stays so."""
    if report.state != CheckState.CHECKING:
        return
    error = operation.error
    if operation.state == OperationState.CANCELLED:
        error = "The checks were cancelled. What was worked out is kept, and they can go on."
    transition(report, CheckState.FAILED, error=error)


class _Run:
    """The checks of one report, one after the other, with the time that each took."""

    def __init__(self, report: CheckReport, facts: Facts, progress: Progress) -> None:
        self.report = report
        self.facts = facts
        self.texts = Texts(facts)
        self.progress = progress
        self.found: list[Found] = []
        self.checks: list[dict[str, Any]] = []
        self.evidence: dict[str, Any] = {}
        self.near = NearRows([], [], 0)

    def all(self, why_unknown: str) -> None:
        facts = self.facts
        self._check("schema", lambda: schema_findings(facts))
        self._check("duplicates", lambda: duplicate_findings(facts))
        self._check("near_duplicates", self._near)
        self._check("contradictions", lambda: [*contradiction_findings(facts), *preference_findings(facts)])
        self._check("leakage", self._leakage)
        self._check("personal", lambda: personal_findings(facts))
        self.evidence["looked_for_names"] = looks_for_names()
        limit = context_length_of(self.report.dataset.project.base_model)
        self._check(
            "tokens",
            lambda: token_findings(facts, limit=limit, unknown_because=why_unknown),
            blind_because=why_unknown,
        )
        self._check("formats", self._formats)
        self._check("labels", lambda: balance_findings(facts))
        self._check("size", self._size)
        self._check("out_of_scope", lambda: out_of_scope_findings(facts, self.texts.answers))
        self._check("languages", lambda: language_findings(facts))
        self._check("outliers", lambda: outlier_findings(facts))

    def _check(self, name: str, run: Callable[[], list[Found]], *, blind_because: str = "") -> None:
        """Every check sees every row, unless it can see none; what was not compared pair by pair is said beside
        near-duplicates."""
        self.progress.report(message=TITLES[name])
        start = time.perf_counter()
        found = run()
        self.found += found
        rows = len(self.facts)
        note = blind_because
        if name == "near_duplicates" and self.near.large_buckets:
            note = "Of very common wordings each row was compared with its nearest neighbours only."
        self.checks.append(
            {
                "name": name,
                "title": TITLES[name],
                "seen": 0 if blind_because else rows,
                "of": rows,
                "seconds": round(time.perf_counter() - start, 3),
                "note": note,
            }
        )

    def _near(self) -> list[Found]:
        self.near = near_rows(self.facts, self.texts.asked)
        return near_findings(self.facts, self.near, self.texts.answers)

    def _leakage(self) -> list[Found]:
        found, names = held_out_findings(self.report, self.facts, self.texts)
        self.evidence["compared_with"] = names
        return [*split_leakage(self.facts, self.near), *found]

    def _formats(self) -> list[Found]:
        step = max(1, len(self.facts) // FORM_SAMPLE)
        places = list(range(0, len(self.facts), step))
        short = [self.facts.answer_texts[place] for place in places]
        missing = [place for place, text in zip(places, short, strict=True) if not text]
        sample = [text for text in short if text] + list(self.texts.answers(missing).values())
        form = answer_form_of(self.report.dataset.project, sample)
        self.evidence["answer_form"] = form.description if form else ""
        if form is None:
            return []
        answers = answers_stream(self.facts)
        return format_findings(self.facts, answers, form.read, form=form.description, declared=form.declared)

    def _size(self) -> list[Found]:
        """By the rows that are trained on: of a version its training split, of a dataset all."""
        version = self.report.version
        return size_findings(version.train_count if version else len(self.facts))


def _write(run: _Run, mark: str, progress: Progress) -> None:
    report = run.report
    counts = Counter(found.check for found in run.found)
    for check in run.checks:
        check["findings"] = counts[check["name"]]
    with transaction.atomic():
        accepted = set(
            Decision.objects.filter(dataset_id=report.dataset_id, action="accept").values_list(
                "key", flat=True
            )
        )
        FindingRow.objects.filter(finding__report=report).delete()
        Finding.objects.filter(report=report).delete()
        open_counts: Counter[str] = Counter()
        for found in sorted(run.found, key=lambda each: SEVERITIES.index(each.severity)):
            finding = _write_finding(report, found, accepted, run.facts)
            if finding.open_count:
                open_counts[finding.severity] += 1
        progress.check()  # an attempt that was given up must not finish after all
        transition(
            report,
            CheckState.DONE,
            checks=run.checks,
            evidence=run.evidence,
            head_mark=mark,
            row_count=report.row_count,
            new_count=report.new_count,
            problem_count=open_counts["problem"],
            attention_count=open_counts["attention"],
            info_count=open_counts["info"],
            finished_at=timezone.now(),
            error="",
        )
        _drop_older_rows(report)
        CheckPart.objects.filter(report=report).delete()
        record(
            workspace=report.dataset.project.workspace,
            actor=progress.operation.actor,
            action="checks.finished",
            target=report.version or report.dataset,
            data={"rows": report.row_count, "findings": dict(counts), "open": dict(open_counts)},
        )


def _write_finding(report: CheckReport, found: Found, accepted: set[str], facts: Facts) -> Finding:
    finding = Finding.objects.create(
        report=report,
        check_name=found.check,
        code=found.code,
        severity=found.severity,
        title=found.title[:300],
        detail=found.detail,
        actions=list(found.actions),
        evidence=found.evidence,
        blocks=found.blocks,
        item_count=len(found.items),
        open_count=sum(item.key not in accepted for item in found.items),
        row_count=found.row_count,
    )
    statement = "COPY datasets_findingrow (finding_id, item, key, example_id, note, keep, decided) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for number, item in enumerate(found.items, start=1):
            decided = "accept" if item.key in accepted else ""
            for row in item.rows:
                example = int(facts.ids[row.index])
                copy.write_row((finding.pk, number, item.key, example, row.note[:200], row.keep, decided))
            if not item.rows:
                copy.write_row((finding.pk, number, item.key, None, "", False, decided))
    return finding


def _drop_older_rows(report: CheckReport) -> None:
    """Of earlier reports of the same thing the findings stay, and the rows of the newest are enough."""
    rows = FindingRow.objects.filter(
        finding__report__dataset=report.dataset_id,
        finding__report__version=report.version_id,
        finding__report__lt=report.pk,
    )
    rows._raw_delete(rows.db)
