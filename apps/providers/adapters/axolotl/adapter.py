"""Axolotl as a trainer: the operator's installation of it, run on this machine."""

from apps.providers.adapters.axolotl.recipe import make_recipe
from apps.providers.contracts import Hyperparameters, Problem
from apps.providers.launching.adapter import LaunchedTrainer
from apps.providers.launching.recipe import Recipe, RecipeRequest


class AxolotlTrainer(LaunchedTrainer):
    name = "axolotl"
    label = "Axolotl"
    setting = "FTPORTAL_AXOLOTL"
    package = "axolotl"
    program = "apps.providers.adapters.axolotl"
    data_formats = {"supervised": "axolotl", "dpo": "axolotl-preference"}

    @classmethod
    def settings_problems(cls, settings: Hyperparameters, *, has_validation: bool) -> list[Problem]:
        problems = []
        if settings.objective == "dpo" and settings.early_stopping_patience is not None:
            problems.append(
                Problem(
                    code="no_early_stopping",
                    field="early_stopping_patience",
                    message="Axolotl stops early only in supervised training. Leave the patience empty for DPO.",
                )
            )
        return problems

    @classmethod
    def recipe(cls, request: RecipeRequest) -> Recipe:
        return make_recipe(request)
