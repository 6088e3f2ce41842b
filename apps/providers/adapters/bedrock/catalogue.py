"""The models that the account's region offers, with the end of each one's life, as Bedrock lists them now."""

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from apps.providers.adapters.bedrock.clients import Clients
from apps.providers.adapters.bedrock.families import model_id, support_of
from apps.providers.contracts import Problem, ProviderError
from apps.providers.limits import ending_problems
from apps.providers.remote import RemoteModel

KEPT_SECONDS = 600.0


class Catalogue:
    """Keeps the list of trainable models for ten minutes: forms ask for it often."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._lock = threading.Lock()
        self._trainable: tuple[RemoteModel, ...] = ()
        self._asked = float("-inf")

    def trainable(self, *, fresh: bool = False) -> tuple[RemoteModel, ...]:
        with self._lock:
            if not fresh and time.monotonic() - self._asked < KEPT_SECONDS:
                return self._trainable
        with self._clients.errors():
            listed = self._clients.bedrock().list_foundation_models(
                byCustomizationType="FINE_TUNING", byOutputModality="TEXT"
            )
        found = tuple(
            _model(entry) for entry in listed["modelSummaries"] if support_of(entry["modelId"], "supervised")
        )
        with self._lock:
            self._trainable, self._asked = found, time.monotonic()
        return found

    def served(self) -> tuple[RemoteModel, ...]:
        """Models that answer without a deployment, and the account's deployments."""
        bedrock = self._clients.bedrock()
        with self._clients.errors():
            listed = bedrock.list_foundation_models(byInferenceType="ON_DEMAND", byOutputModality="TEXT")
            deployed = bedrock.list_custom_model_deployments(statusEquals="Active", maxResults=100)
        return (
            *(_model(entry) for entry in listed["modelSummaries"]),
            *(
                RemoteModel(
                    id=entry["customModelDeploymentArn"],
                    label=entry["customModelDeploymentName"],
                    owner="this account",
                    tuned=True,
                )
                for entry in deployed["modelDeploymentSummaries"]
            ),
        )

    def problems(self, base_model: str, today: date | None = None) -> list[Problem]:
        """Whether the region still trains the model, and for how long it will live."""
        if ":custom-model/" in base_model:
            return []
        try:
            models = self.trainable()
        except ProviderError as error:
            return [
                Problem(
                    code="not_checked",
                    field="base_model",
                    severity="warning",
                    message=f"Whether the region still trains this model could not be looked up: {error.message}",
                )
            ]
        name = model_id(base_model)
        model = next((each for each in models if each.id == name), None)
        if model is None:
            region = self._clients.setting("region")
            return [
                Problem(
                    code="model_not_offered",
                    field="base_model",
                    message=f"“{name}” can't be trained in {region} (any more). Choose a model of the list, or a"
                    " connection to another region.",
                )
            ]
        return ending_problems(model.id, model.end_of_life, today or datetime.now(UTC).date())


def _model(entry: Mapping[str, Any]) -> RemoteModel:
    name = entry["modelId"]
    supported = support_of(name, "supervised") is not None
    customizations: Sequence[str] = entry.get("customizationsSupported", [])
    end = entry.get("modelLifecycle", {}).get("endOfLifeTime")
    return RemoteModel(
        id=name,
        label=entry.get("modelName", ""),
        owner=entry.get("providerName", ""),
        objectives=("supervised",) if supported and "FINE_TUNING" in customizations else (),
        end_of_life=end.date() if isinstance(end, datetime) else None,
    )
