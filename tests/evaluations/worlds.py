"""A small world for evaluations: a frozen version with training and test rows, a base model, a tuned model."""

import json
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from apps.accounts.models import User
from apps.artifacts.storage import blob_store
from apps.core.canonical import canonical_hash
from apps.core.states import transition
from apps.datasets.models import Dataset, Example, Version, VersionRow, VersionState
from apps.evaluations.models import Answer, Comparison, ComparisonState, Run, Suite, SuiteKind
from apps.evaluations.services.comparisons import comparison_create
from apps.evaluations.services.deciding import comparison_decide
from apps.evaluations.services.running import comparison_plan, run_finish
from apps.evaluations.services.suites import suite_from_file, suite_from_version
from apps.jobs.models import JobState, TrainingJob
from apps.projects.models import Project
from apps.registry.models import BaseModel, ModelVersion, Variant
from apps.registry.services import base_model_ensure, model_version_create, variant_ensure
from apps.scoring.answers import form_from_dict
from apps.scoring.metrics import score_answer

CATEGORIES = ["billing", "shipping", "account", "bug"]
PRIORITIES = ["P1", "P2", "P3"]


def ticket(number: int) -> dict[str, Any]:
    """Two labelled fields; the labels follow from the number."""
    category, priority = CATEGORIES[number % 4], PRIORITIES[number % 3]
    return {
        "messages": [
            {"role": "system", "content": "Sort the ticket."},
            {"role": "user", "content": f"Ticket {number}: something about {category}, rather {priority}."},
            {"role": "assistant", "content": f"category: {category}\npriority: {priority}"},
        ]
    }


def frozen_version(project: Project, *, train: int, test: int, groups: bool = False) -> Version:
    dataset = Dataset.objects.create(project=project, name=f"Tickets {Dataset.objects.count() + 1}")
    version = Version.objects.create(
        dataset=dataset,
        number=1,
        manifest_hash="ab" * 32,
        row_count=train + test,
        train_count=train,
        test_count=test,
        frozen_at=timezone.now(),
    )
    rows = [ticket(number) for number in range(train + test)]
    examples = Example.objects.bulk_create(
        Example(
            dataset=dataset,
            raw=json.dumps(row).encode(),
            payload=row,
            content_hash=canonical_hash(row["messages"]),
            text=row["messages"][1]["content"],
        )
        for row in rows
    )
    VersionRow.objects.bulk_create(
        VersionRow(
            version=version,
            example=example,
            position=index + 1,
            split="train" if index < train else "test",
            group=f"wording {index // 5}" if groups else "",
        )
        for index, example in enumerate(examples)
    )
    transition(version, VersionState.FROZEN)
    return version


@dataclass
class World:
    project: Project
    by: User
    version: Version
    base: BaseModel
    tuned: ModelVersion

    def variant(self, name: str, *, tuned: bool = False, **options) -> Variant:
        return variant_ensure(
            project=self.project,
            name=name,
            base_model=self.base,
            model_version=self.tuned if tuned else None,
            actor=self.by,
            **options,
        )

    def suite(self) -> Suite:
        return suite_from_version(project=self.project, version=self.version, by=self.by)

    def general_suite(self, count: int = 90) -> Suite:
        lines = [
            json.dumps(
                {
                    "messages": [{"role": "user", "content": f"Say {number}."}],
                    "expected": str(number),
                    "skill": ["copy", "extract", "arithmetic"][number % 3],
                }
            )
            for number in range(count)
        ]
        blob = blob_store(content=["\n".join(lines).encode()])
        return suite_from_file(
            project=self.project, name="General", kind=SuiteKind.GENERAL, blob=blob, by=self.by
        )

    def comparison(self, suite: Suite, **options) -> Comparison:
        baselines = [
            ("the base model as it is", self.variant("Base, as it is")),
            ("the written prompt", self.variant("Base, written prompt", system_prompt="Sort it well.")),
        ]
        return comparison_create(
            **{
                "project": self.project,
                "suite": suite,
                "candidate": self.variant("Tuned", tuned=True),
                "baselines": baselines,
                "by": self.by,
                **options,
            }
        )


def build_world(
    project: Project, by: User, *, train: int = 40, test: int = 60, groups: bool = False
) -> World:
    version = frozen_version(project, train=train, test=test, groups=groups)
    base = base_model_ensure(workspace=project.workspace, reference="acme/tiny", actor=None)
    tuned = model_version_create(
        project=project,
        base_model=base,
        kind="adapter",
        artifact=blob_store(content=[b"not really weights"]),
        name="Triage",
        validation_loss=0.4,
        best_step=30,
        actor=by,
    )
    TrainingJob.objects.create(
        project=project,
        number=tuned.number,
        name="Triage",
        version=version,
        base_model=base,
        method="lora",
        configuration={},
        configuration_hash="cd" * 32,
        state=JobState.SUCCEEDED,
        model_version=tuned,
    )
    return World(project, by, version, base, tuned)


def wrong(expected: str, number: int) -> str:
    """An answer in the right form with the wrong category."""
    return f"category: {CATEGORIES[(number + 1) % 4]}\npriority: P1" if "category" in expected else "no idea"


def fill_run(
    run: Run, right: float, *, unscored: int = 0, shift: int = 0, texts: dict[int, str] | None = None
) -> None:
    """Answers without a model: that share of the items right, others with another `shift`; then the run is finished."""
    form = form_from_dict(run.suite.answer_form)
    items = list(run.suite.items.order_by("position"))
    answers = []
    for number, item in enumerate(items):
        if number < unscored:
            answers.append(Answer(run=run, item=item, error="The local model did not answer in time."))
            continue
        luck = (number * 7919 + shift) % len(items)
        text = item.expected if luck < right * len(items) else wrong(item.expected, item.position)
        text = (texts or {}).get(item.position, text)
        scores = score_answer(form, text, item.expected)
        answers.append(
            Answer(
                run=run,
                item=item,
                text=text,
                finish_reason="stop",
                fields=scores.predicted or None,
                exact=scores.exact.passed,
                format_ok=scores.format_ok,
                prompt_tokens=40,
                completion_tokens=8,
                seconds=0.2 + 0.001 * (number % 100),
                compute_seconds=0.01,
            )
        )
    Answer.objects.bulk_create(answers)
    run_finish(run=run)


def decide_with(comparison: Comparison, shares: dict[str, float], **options) -> Comparison:
    Comparison.objects.filter(pk=comparison.pk).update(state=ComparisonState.RUNNING)
    comparison = Comparison.objects.select_related(
        "project__workspace", "suite", "general_suite", "general_base", "candidate"
    ).get(pk=comparison.pk)
    for planned in comparison_plan(comparison):
        if not planned.run.is_finished:
            fill_run(planned.run, shares.get(planned.what, 0.5), **options.get(planned.what, {}))
    comparison_decide(comparison=comparison)
    return Comparison.objects.get(pk=comparison.pk)
