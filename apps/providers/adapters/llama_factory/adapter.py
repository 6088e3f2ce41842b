"""LLaMA-Factory as a trainer: the operator's installation of it, run on this machine."""

from apps.providers.adapters.llama_factory.recipe import make_recipe
from apps.providers.contracts import Hyperparameters, Problem
from apps.providers.launching.adapter import LaunchedTrainer
from apps.providers.launching.recipe import Recipe, RecipeRequest


class LlamaFactoryTrainer(LaunchedTrainer):
    name = "llama_factory"
    label = "LLaMA-Factory"
    setting = "FTPORTAL_LLAMA_FACTORY"
    package = "llamafactory"
    program = "apps.providers.adapters.llama_factory"
    data_formats = {"supervised": "llama-factory", "dpo": "llama-factory-preference"}
    handles_too_long = frozenset({"truncate"})

    @classmethod
    def settings_problems(cls, settings: Hyperparameters, *, has_validation: bool) -> list[Problem]:
        problems = []
        if settings.too_long == "truncate":
            problems.append(
                Problem(
                    code="cuts_both",
                    field="too_long",
                    severity="warning",
                    message="LLaMA-Factory cuts a row that is too long in its question and its answer alike, not only "
                    "at the end.",
                )
            )
        return problems

    @classmethod
    def recipe(cls, request: RecipeRequest) -> Recipe:
        return make_recipe(request)
