"""The demo: the main job end to end, through the services and workers that the pages use.

Each step is skipped when an earlier run did it already, so a demo that was interrupted goes on where it stopped.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from apps.core.formatting import format_duration, format_number
from ftportal.environment import Environment

if TYPE_CHECKING:
    from apps.evaluations.models import Comparison
    from apps.operations.models import Operation

PROJECT = "Support tickets"
GOAL = "Sort incoming support tickets: a category and a priority in the house format, good enough to route them unread."
DATASET = "Tickets"
SEED = 42
FEW_SHOT_EXAMPLES = 4
TEST_SHARE = 0.2
"""Tickets of one wording stay together, so the wordings count, not the tickets: a tenth would be only 29 of them."""
WORKERS_LIMIT = 60.0
"""Seconds to wait for the workers to come up."""


class DemoError(Exception):
    """A step did not succeed; the message says which and why."""


@dataclass
class Narrator:
    """Prints what happens, one line at a time: the output goes through a log with prefixes."""

    timings: list[tuple[str, float]] = field(default_factory=list)

    def say(self, text: str = "") -> None:
        print(text, flush=True)

    def step(self, title: str, work: Callable[[], str]) -> None:
        """Do one step and tell how long it took."""
        self.say(f"● {title}")
        started = time.monotonic()
        outcome = work()
        seconds = time.monotonic() - started
        self.timings.append((title, seconds))
        self.say(f"  ✓ {outcome} ({seconds:.1f} s)")


def run(environment: Environment, *, exit_when_done: bool) -> int:
    """Run the demo against the services of `environment`; returns the exit code: 0 only if every step succeeded."""
    import django

    django.setup()
    narrator = Narrator()
    started = time.monotonic()
    try:
        comparison = Demo(narrator).run()
    except DemoError as error:
        narrator.say(f"✗ {error}")
        return 1
    url = f"http://{environment.host}:{environment.port}{comparison.get_absolute_url()}"
    narrator.say()
    for title, seconds in narrator.timings:
        narrator.say(f"  {seconds:7.1f} s  {title}")
    narrator.say(f"  {time.monotonic() - started:7.1f} s  in all")
    narrator.say()
    narrator.say(f"Verdict: {comparison.sentence}")
    if not exit_when_done:
        narrator.say(f"Evidence: {url}")
    return 0


class Demo:
    """The steps, in the order of the work."""

    def __init__(self, narrator: Narrator) -> None:
        self.narrator = narrator

    def run(self) -> "Comparison":
        tell = self.narrator.step
        tell("Waiting for the workers", self.wait_for_workers)
        tell("Setting up the project", self.set_up_project)
        tell("Importing the tickets", self.import_tickets)
        tell("Freezing version 1 with its splits", self.freeze)
        tell("Fine-tuning the base model with LoRA on this machine", self.train)
        tell("Freezing the test suites and the contenders", self.prepare_comparison)
        tell("Asking every contender every question, then deciding", self.compare)
        return self.comparison

    def wait_for_workers(self) -> str:
        from apps.operations.presence import queues_without_worker

        started = time.monotonic()
        while (missing := queues_without_worker()) != []:
            if time.monotonic() - started > WORKERS_LIMIT:
                what = "Redis cannot be reached" if missing is None else f"nobody serves {', '.join(missing)}"
                raise DemoError(
                    f"The workers did not come up in {WORKERS_LIMIT:.0f} s: {what}. See the log above."
                )
            time.sleep(0.2)
        return "Every queue has a worker"

    def set_up_project(self) -> str:
        from apps.accounts.models import User
        from apps.accounts.selectors import workspaces_of
        from apps.projects.models import Project
        from apps.projects.services import project_create

        user = User.objects.filter(is_active=True, memberships__role="owner").order_by("pk").first()
        workspace = workspaces_of(user).first() if user else None
        if user is None or workspace is None:
            raise DemoError(
                "There is no workspace owner yet. Sign in once and create a workspace, then run the demo again."
            )
        self.user: User = user
        found = Project.objects.filter(workspace=workspace, name=PROJECT).first()
        self.project: Project = found or project_create(workspace=workspace, name=PROJECT, by=user, goal=GOAL)
        return f"Project “{self.project}” in {workspace}" + (", kept from an earlier run" if found else "")

    def import_tickets(self) -> str:
        from django.conf import settings

        from apps.datasets.models import Dataset, ImportState
        from apps.datasets.services import dataset_create, import_commit_request, import_upload

        dataset = Dataset.objects.filter(project=self.project, name=DATASET).first()
        if dataset is not None and dataset.example_count:
            self.dataset = dataset
            return f"{format_number(dataset.example_count)} rows, kept from an earlier run"
        self.dataset = dataset or dataset_create(project=self.project, name=DATASET, actor=self.user)
        path = settings.FTPORTAL_DEMO / "support_tickets" / "tickets.jsonl"
        with path.open("rb") as file:
            chunks = iter(lambda: file.read(1024 * 1024), b"")
            record = import_upload(dataset=self.dataset, file_name=path.name, content=chunks, actor=self.user)
        self.wait(record)
        record.refresh_from_db()
        if record.state != ImportState.CHECKED:
            raise DemoError(f"The file was not accepted: {record.error or record.get_state_display()}.")
        import_commit_request(import_record=record, keep_duplicates=False, actor=self.user)
        self.wait(record)
        self.dataset.refresh_from_db()
        return (
            f"{format_number(record.line_count)} lines: {format_number(self.dataset.example_count)} rows committed,"
            f" {record.duplicate_count} exact duplicates left out, {record.problem_count} lines with problems"
        )

    def freeze(self) -> str:
        from apps.datasets.models import Version, VersionState
        from apps.datasets.services import version_freeze_request

        version = (
            Version.objects.filter(dataset=self.dataset, state=VersionState.FROZEN).order_by("number").first()
        )
        kept = version is not None
        if version is None:
            version = version_freeze_request(
                dataset=self.dataset,
                seed=SEED,
                validation_share=0.1,
                test_share=TEST_SHARE,
                group_path="metadata.wording",
                note="Held out by wording: no sentence pattern of the test split was trained on.",
                actor=self.user,
            )
            self.wait(version)
            version.refresh_from_db()
        if version.state != VersionState.FROZEN:
            raise DemoError(f"Freezing failed: {version.error}")
        self.version: Version = version
        return (
            f"{version}: {format_number(version.train_count)} train,"
            f" {format_number(version.validation_count)} validation,"
            f" {format_number(version.test_count)} test; manifest {version.manifest_hash[:12]}"
            + (", kept from an earlier run" if kept else "")
        )

    def train(self) -> str:
        from apps.jobs.models import JobState, TrainingJob
        from apps.jobs.services import job_start
        from apps.registry.services import base_model_ensure

        self.base_model = base_model_ensure(
            workspace=self.project.workspace, reference=self.project.base_model, actor=self.user
        )
        jobs = TrainingJob.objects.filter(project=self.project, version=self.version)
        job = jobs.filter(state=JobState.SUCCEEDED).order_by("pk").first()
        kept = job is not None
        if job is None:
            job = jobs.filter(state__in=TrainingJob.ACTIVE).first() or job_start(
                project=self.project,
                version=self.version,
                base_model=self.base_model,
                name="LoRA on tickets v1",
                method="lora",
                hyperparameters={},
                by=self.user,
            )
            self.wait(job)
            job.refresh_from_db()
        if job.state != JobState.SUCCEEDED or job.model_version is None:
            raise DemoError(f"Training ended as {job.get_state_display().lower()}: {job.error}")
        self.job: TrainingJob = job
        best = f"{job.best_validation_loss:.3f}" if job.best_validation_loss is not None else "unknown"
        return f"{job.step} steps; best validation loss {best} at step {job.best_step}" + (
            ", kept from an earlier run" if kept else ""
        )

    def prepare_comparison(self) -> str:
        from django.conf import settings

        from apps.evaluations.few_shot import few_shot_select
        from apps.evaluations.services.suites import general_suite_add, suite_from_version
        from apps.registry.models import Variant
        from apps.registry.services import variant_ensure

        self.suite = suite_from_version(project=self.project, version=self.version, by=self.user)
        self.general_suite = general_suite_add(project=self.project, by=self.user)
        prompt = (
            (settings.FTPORTAL_DEMO / "support_tickets" / "prompt.txt").read_text(encoding="utf-8").strip()
        )
        sampling = {"max_tokens": 32}
        shots = few_shot_select(self.version, FEW_SHOT_EXAMPLES, SEED)

        def variant(name: str, **parts: Any) -> Variant:
            return variant_ensure(
                project=self.project,
                name=name,
                base_model=self.base_model,
                sampling=sampling,
                actor=self.user,
                **parts,
            )

        self.candidate = variant("Fine-tuned", model_version=self.job.model_version)
        self.baselines = [
            ("the base model without a prompt", variant("Base, zero-shot")),
            ("the best prompt", variant("Base, written prompt", system_prompt=prompt)),
            (
                f"the best prompt with {FEW_SHOT_EXAMPLES} examples",
                variant(
                    f"Base, written prompt + {FEW_SHOT_EXAMPLES} examples",
                    system_prompt=prompt,
                    few_shot=shots,
                ),
            ),
        ]
        return (
            f"{self.suite.item_count} test items, {self.general_suite.item_count} general-skill items,"
            f" {1 + len(self.baselines)} contenders"
        )

    def compare(self) -> str:
        from apps.evaluations.models import Comparison, ComparisonState
        from apps.evaluations.services.comparisons import comparison_create

        done = Comparison.objects.filter(
            project=self.project, suite=self.suite, candidate=self.candidate, state=ComparisonState.DONE
        ).order_by("pk")
        comparison = done.first()
        if comparison is None:
            active = Comparison.objects.filter(
                project=self.project, candidate=self.candidate, state__in=Comparison.ACTIVE
            ).first()
            comparison = active or comparison_create(
                project=self.project,
                suite=self.suite,
                candidate=self.candidate,
                baselines=self.baselines,
                general_suite=self.general_suite,
                name="Fine-tuned against the best prompt",
                by=self.user,
            )
            self.wait(comparison)
            comparison.refresh_from_db()
        if comparison.state != ComparisonState.DONE:
            raise DemoError(
                f"The comparison ended as {comparison.get_state_display().lower()}: {comparison.error}"
            )
        self.comparison = comparison
        return f"{comparison.outcome.replace('_', ' ').lower()}"

    def wait(self, subject: object) -> None:
        """Until the newest operation on `subject` ends, telling its progress; raises DemoError if it failed."""
        from apps.operations.models import OperationState
        from apps.operations.selectors import latest_operation_for

        said, said_at = "", 0.0
        while True:
            operation = latest_operation_for(subject)  # type: ignore[arg-type]
            if operation is None:
                raise DemoError(f"Nothing works on {subject}.")
            if not operation.is_active:
                break
            line, now = _progress_line(operation), time.monotonic()
            if line != said and now - said_at >= (0.5 if sys.stdout.isatty() else 5.0):
                self.narrator.say(f"  {line}")
                said, said_at = line, now
            time.sleep(0.2)
        if operation.state != OperationState.SUCCEEDED:
            raise DemoError(f"“{operation.title}” {operation.get_state_display().lower()}: {operation.error}")


def _progress_line(operation: "Operation") -> str:
    parts = [operation.message or operation.get_state_display()]
    if operation.total:
        parts.append(
            f"{format_number(operation.done)} of {format_number(operation.total)} {operation.unit}".strip()
        )
    if operation.seconds_left is not None:
        parts.append(f"about {format_duration(operation.seconds_left)} left")
    return ", ".join(parts)
