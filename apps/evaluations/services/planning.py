"""From what a person wants compared to suites, variants and a comparison."""

from dataclasses import dataclass

from apps.accounts.models import User
from apps.datasets.models import Version
from apps.evaluations.few_shot import few_shot_select
from apps.evaluations.models import Comparison, Run, Suite
from apps.evaluations.selectors.leakage import leaked_items, training_version_of
from apps.evaluations.services.comparisons import ComparisonError, comparison_create
from apps.evaluations.services.sampling import answer_tokens
from apps.evaluations.services.suites import general_suite_add, suite_from_version
from apps.projects.models import Project
from apps.registry.models import ModelVersion, Variant
from apps.registry.services import variant_ensure

FEW_SHOT_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What to compare. Either `suite` or `version` (its test split) is given; gain and margin are shares."""

    model_version: ModelVersion
    suite: Suite | None = None
    version: Version | None = None
    zero_shot: bool = True
    recorded: Run | None = None
    """What another tuned model answered to the items before: it is a baseline, and is not asked again."""
    written_prompt: str = ""
    few_shot: int = 0
    few_shot_with_prompt: bool = True
    general_suite: Suite | None = None
    add_general_suite: bool = False
    smallest_gain: float = 0.02
    general_margin: float = 0.03
    name: str = ""


def comparison_from_wish(*, project: Project, wish: Wish, by: User | None) -> Comparison:
    """Freeze the suite if it is not yet, make the variants, and start."""
    if wish.suite is not None:
        suite = wish.suite
    elif wish.version is not None:
        suite = suite_from_version(project=project, version=wish.version, by=by)
    else:
        raise ComparisonError("Choose the held-out items to compare on.")
    general = general_suite_add(project=project, by=by) if wish.add_general_suite else wish.general_suite
    sampling = {"max_tokens": answer_tokens(*filter(None, (suite, general)))}
    model = wish.model_version

    def variant(name: str, tuned: ModelVersion | None = None, prompt: str = "", shots: int = 0) -> Variant:
        return variant_ensure(
            project=project,
            name=name,
            base_model=model.base_model,
            model_version=tuned,
            system_prompt=prompt,
            few_shot=_examples(model, suite, shots),
            sampling=sampling,
            actor=by,
        )

    base, prompt = model.base_model.name, wish.written_prompt.strip()
    baselines: list[tuple[str, Variant]] = []
    if wish.recorded is not None:
        baselines.append((_recorded_label(wish.recorded, suite), wish.recorded.variant))
    if wish.zero_shot:
        baselines.append(("the base model as it is", variant(f"{base}, as it is")))
    if prompt:
        baselines.append(("the written prompt", variant(f"{base}, written prompt", prompt=prompt)))
    if wish.few_shot:
        above = prompt if wish.few_shot_with_prompt else ""
        label = f"few-shot ({wish.few_shot} examples)"
        baselines.append((label, variant(f"{base}, {label}", prompt=above, shots=wish.few_shot)))
    return comparison_create(
        project=project,
        suite=suite,
        candidate=variant(model.name, model),
        baselines=baselines,
        general_suite=general,
        smallest_gain=wish.smallest_gain,
        general_margin=wish.general_margin,
        name=wish.name or f"{model.name} on {suite.name}",
        by=by,
    )


def _recorded_label(recorded: Run, suite: Suite) -> str:
    """With what makes it look better than it is."""
    if recorded.suite_id != suite.pk:
        raise ComparisonError(f"These answers were recorded on other items: choose “{recorded.suite.name}”.")
    if not recorded.is_finished:
        raise ComparisonError("These answers are not all recorded yet. Wait, or close the recording.")
    trained_on = leaked_items(suite, recorded.variant)
    return f"the model it replaces (trained on {trained_on} items)" if trained_on else "the model it replaces"


def _examples(model: ModelVersion, suite: Suite, count: int) -> list[dict[str, str]]:
    if not count:
        return []
    version = training_version_of(Variant(model_version=model)) or suite.version
    if version is None:
        raise ComparisonError(
            "Few-shot examples are taken from the training split, and it is not known what this model was trained"
            " on. Set the number of examples to 0."
        )
    examples = few_shot_select(version, count, FEW_SHOT_SEED)
    if not examples:
        raise ComparisonError(f"The training split of {version} holds no example that could be shown.")
    return examples
