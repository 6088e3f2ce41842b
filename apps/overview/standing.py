"""Where a project stands: the state of its stages, the one next step, and the questions it must be able to answer."""

from dataclasses import dataclass

from django.db.models import Q
from django.urls import reverse

from apps.accounts.permissions import Permission
from apps.core.formatting import format_number
from apps.datasets.checks.personal.detection import looks_for_names
from apps.datasets.models import Dataset, Import, ImportState, Version, VersionState
from apps.datasets.selectors_checks import findings_of, latest_done_report
from apps.evaluations.models import Comparison, ComparisonState
from apps.jobs.models import JobState, TrainingJob
from apps.labeling.models import Session, SessionState
from apps.labeling.selectors.sessions import standing_of_labeling
from apps.projects.models import Project
from apps.registry.models import ModelVersion

NAMES_TOO = "; names of people were looked for by lists"
NAMES_NOT = "; names of people are not looked for"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One entry of the project's navigation. States: empty, working, attention, done."""

    key: str
    label: str
    icon: str
    url: str
    state: str
    count: int | None
    current: bool


@dataclass(frozen=True, kw_only=True)
class Step:
    """What to do next, and why."""

    title: str
    why: str
    label: str
    url: str
    permission: Permission


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The newest of everything, each read once."""

    pending_import: Import | None
    dataset: Dataset | None
    version: Version | None
    version_count: int
    session: Session | None
    """The newest labeling session that waits for something: to be opened, or for labels."""
    session_count: int
    job: TrainingJob | None
    active_job: TrainingJob | None
    job_count: int
    model: ModelVersion | None
    model_count: int
    comparison: Comparison | None
    verdict: Comparison | None
    comparison_count: int


def standing_of(project: Project) -> Standing:
    imports = Import.objects.filter(dataset__project=project, dataset__deleted_at=None).select_related(
        "dataset__project__workspace"
    )
    versions = Version.objects.filter(dataset__project=project).select_related("dataset__project__workspace")
    frozen = versions.filter(state=VersionState.FROZEN)
    jobs = TrainingJob.objects.filter(project=project).select_related("project__workspace")
    comparisons = Comparison.objects.filter(project=project).select_related("project__workspace")
    models = ModelVersion.objects.filter(project=project).select_related("project__workspace")
    session, session_count = standing_of_labeling(project)
    open_states = [ImportState.RECEIVED, ImportState.CHECKING, ImportState.CHECKED, ImportState.COMMITTING]
    return Standing(
        pending_import=imports.filter(state__in=open_states).order_by("-pk").first(),
        dataset=Dataset.objects.filter(project=project, example_count__gt=0)
        .select_related("project__workspace")
        .order_by("-pk")
        .first(),
        version=frozen.order_by("-frozen_at").first(),
        version_count=frozen.count(),
        session=session,
        session_count=session_count,
        job=jobs.order_by("-pk").first(),
        active_job=jobs.filter(state__in=TrainingJob.ACTIVE).order_by("-pk").first(),
        job_count=jobs.count(),
        model=models.order_by("-pk").first(),
        model_count=models.count(),
        comparison=comparisons.order_by("-pk").first(),
        verdict=comparisons.filter(state=ComparisonState.DONE).order_by("-pk").first(),
        comparison_count=comparisons.count(),
    )


def stages_of(project: Project, standing: Standing, path: str) -> list[Stage]:
    """The project's navigation, in the order of the work; `path` decides which one is current."""
    slugs = [project.workspace.slug, project.slug]
    root = reverse("overview:project", args=slugs)

    def stage(  # noqa: PLR0917 - a table, one line a stage
        key: str, label: str, icon: str, url: str, state: str = "", count: int | None = None
    ) -> Stage:
        current = path == url if key == "overview" else path.startswith(url)
        return Stage(key=key, label=label, icon=icon, url=url, state=state, count=count, current=current)

    return [
        stage("overview", "Overview", "layout-dashboard", root),
        stage(
            "data", "Data", "database", f"{root}data/", _data_state(standing), standing.version_count or None
        ),
        stage(
            "label",
            "Label",
            "tag",
            f"{root}label/",
            _label_state(standing),
            standing.session_count or None,
        ),
        stage(
            "train",
            "Train",
            "player-play",
            f"{root}train/",
            _train_state(standing),
            standing.job_count or None,
        ),
        stage(
            "evaluate",
            "Evaluate",
            "scale",
            f"{root}evaluate/",
            _evaluate_state(standing),
            standing.comparison_count or None,
        ),
        stage(
            "models",
            "Models",
            "box",
            f"{root}models/",
            "done" if standing.model else "empty",
            standing.model_count or None,
        ),
        stage("settings", "Settings", "settings", reverse("projects:settings", args=slugs)),
    ]


def _data_state(standing: Standing) -> str:
    if standing.pending_import is not None:
        checked = standing.pending_import.state == ImportState.CHECKED
        return "attention" if checked else "working"
    return "done" if standing.version else "empty"


def _label_state(standing: Standing) -> str:
    if standing.session is None:
        return "done" if standing.session_count else "empty"
    return "attention" if standing.session.state == SessionState.DRAFT else "working"


def _train_state(standing: Standing) -> str:
    if standing.active_job:
        return "working"
    if standing.job is None:
        return "empty"
    return "attention" if standing.job.state == JobState.FAILED else "done"


def _evaluate_state(standing: Standing) -> str:
    if standing.comparison is None:
        return "empty"
    if standing.comparison.is_active:
        return "working"
    return "done" if standing.comparison.state == ComparisonState.DONE else "attention"


def next_step(project: Project, standing: Standing) -> Step | None:
    """The one thing to do now; None once there is a verdict on the newest model."""
    slugs = [project.workspace.slug, project.slug]
    if standing.pending_import is not None:
        return Step(
            title=f"Look at what came in with {standing.pending_import.file_name}",
            why="Nothing of a file is used before you have seen what is wrong with it and committed it.",
            label="Open the import",
            url=standing.pending_import.get_absolute_url(),
            permission=Permission.EDIT_DATA,
        )
    if standing.dataset is None:
        return Step(
            title="Bring in your data",
            why="A few hundred good examples of what to ask and what to answer are where every project starts.",
            label="Import data",
            url=reverse("datasets:index", args=slugs),
            permission=Permission.EDIT_DATA,
        )
    if standing.version is None:
        return Step(
            title=f"Freeze {standing.dataset.name} as version 1",
            why="A frozen version never changes, and its test split stays unseen: figures on it can be trusted.",
            label="Open the dataset",
            url=standing.dataset.get_absolute_url(),
            permission=Permission.EDIT_DATA,
        )
    if standing.active_job is not None:
        return Step(
            title=f"Watch {standing.active_job.name} train",
            why="Validation loss tells when to stop: it is lowest at the checkpoint that is kept.",
            label="Open the job",
            url=standing.active_job.get_absolute_url(),
            permission=Permission.VIEW,
        )
    if standing.session is not None:
        return _step_of_labeling(slugs, standing.session)
    return _step_to_model(slugs, standing)


def _step_to_model(slugs: list[str], standing: Standing) -> Step | None:
    if standing.model is None:
        return Step(
            title="Train a first model",
            why="LoRA with the recommended settings shows within minutes whether tuning helps here.",
            label="New training job",
            url=reverse("jobs:create", args=slugs),
            permission=Permission.TRAIN,
        )
    return _step_to_verdict(slugs, standing, standing.model)


def _step_of_labeling(slugs: list[str], session: Session) -> Step:
    if session.state == SessionState.DRAFT:
        return Step(
            title=f"Finish setting up {session.name}",
            why="Nothing is handed out before the session is open.",
            label="Open the session",
            url=session.get_absolute_url(),
            permission=Permission.MANAGE_LABELING,
        )
    return Step(
        title=f"Label in {session.name}",
        why="Labels are the bottleneck: train when they are in, and when the people agree.",
        label="Open the sessions",
        url=reverse("labeling:index", args=slugs),
        permission=Permission.LABEL,
    )


def _step_to_verdict(slugs: list[str], standing: Standing, model: ModelVersion) -> Step | None:
    comparison = standing.comparison
    if comparison is not None and comparison.is_active:
        return Step(
            title="The comparison is running",
            why="Every answer is stored as it comes; the verdict follows the last one.",
            label="Open the comparison",
            url=comparison.get_absolute_url(),
            permission=Permission.VIEW,
        )
    if standing.verdict is None or standing.verdict.candidate.model_version_id != model.pk:
        return Step(
            title=f"Find out whether {model.name} beats the best prompt",
            why="Only an answer on held-out data, with its uncertainty, decides whether to ship it.",
            label="New comparison",
            url=reverse("evaluations:create", args=slugs),
            permission=Permission.EVALUATE,
        )
    return None


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question that a fine-tuning project must be able to answer; `answered` None: the records do not say."""

    text: str
    answered: bool | None
    evidence: str
    url: str = ""


def checklist(standing: Standing) -> list[Question]:
    """Answers from the records only; what they do not hold is shown as unknown."""
    verdict, version = standing.verdict, standing.version
    verdict_url = verdict.get_absolute_url() if verdict else ""
    version_url = version.get_absolute_url() if version else ""
    prompted = _prompted_baselines(verdict)
    return [
        Question(
            text="Were prompting and few-shot tried first, and the gap measured?",
            answered=bool(prompted) if verdict else False,
            evidence=", ".join(prompted) if prompted else "No comparison with a prompt yet.",
            url=verdict_url,
        ),
        Question(
            text="Is there a held-out test set?",
            answered=bool(version and version.test_count),
            evidence=f"{format_number(version.test_count)} rows of {version} are locked away for testing."
            if version
            else "Nothing is frozen yet.",
            url=version_url,
        ),
        Question(
            text="Was the tuned model compared with the base and its best prompt?",
            answered=verdict is not None,
            evidence=verdict.sentence if verdict else "Not yet.",
            url=verdict_url,
        ),
        Question(
            text="Is it known what tuning cost in general skill?",
            answered=bool(verdict and verdict.general_suite_id),
            evidence="Measured beside the task in the latest comparison."
            if verdict and verdict.general_suite_id
            else "No general-skill suite was run.",
            url=verdict_url,
        ),
        Question(
            text="Are training data, base model and results versioned?",
            answered=bool(version and standing.model),
            evidence=f"{version}, manifest {version.manifest_hash[:12]}"
            if version and standing.model
            else "Not all of them yet.",
            url=standing.model.get_absolute_url() if standing.model else version_url,
        ),
        _personal_data(standing),
        Question(
            text="Does the data match what comes in production?",
            answered=None,
            evidence="The records do not say: nobody has looked, or not here.",
        ),
    ]


def _personal_data(standing: Standing) -> Question:
    """By the checks of the newest version, or else of what stands in the newest dataset."""
    text = "Was it looked for personal data, and is every find decided?"
    version = standing.version
    dataset = version.dataset if version else standing.dataset
    if dataset is None:
        return Question(text=text, answered=False, evidence="There is no data yet.")
    report = (version and latest_done_report(dataset, version)) or latest_done_report(dataset)
    if report is None:
        slugs = [dataset.project.workspace.slug, dataset.project.slug]
        url = reverse("datasets:checks", args=[*slugs, dataset.pk])
        return Question(text=text, answered=False, evidence="The data was not checked.", url=url)
    subject = str(report.version) if report.version else dataset.name
    is_open = any(each.open_count for each in findings_of(report) if each.check_name == "personal")
    return Question(
        text=text,
        answered=not is_open,
        evidence=f"Some of what was found in {subject} is undecided."
        if is_open
        else f"By the checks of {subject}{NAMES_TOO if looks_for_names() else NAMES_NOT}.",
        url=report.get_absolute_url(),
    )


def _prompted_baselines(verdict: Comparison | None) -> list[str]:
    if verdict is None:
        return []
    prompted = verdict.contenders.filter(~Q(variant__system_prompt="") | ~Q(variant__few_shot=[]))
    return list(prompted.values_list("label", flat=True))
