"""A provider that exists nowhere, for what stands above adapters: pages, checks, comparisons. What it answers follows
from its settings alone; nothing is sent."""

from collections.abc import Mapping
from datetime import date
from typing import Any, ClassVar

from apps.providers.contracts import Objective, ProviderRejectedError
from apps.providers.remote import ConnectionCheck, RemoteModel, RemoteNumber, Setting, Support

GOOD_KEY = "sk-good-4711"
TRAINED = (
    RemoteModel(id="draw-large", label="Draw Large", objectives=("supervised", "dpo"), context_length=8192),
    RemoteModel(
        id="draw-small", objectives=("supervised",), context_length=2048, end_of_life=date(2027, 3, 1)
    ),
)
SERVED = (
    RemoteModel(id="draw-large", label="Draw Large", context_length=8192),
    RemoteModel(id="ft:draw-small:ours", tuned=True),
)


class SketchProvider:
    name: ClassVar[str] = "sketch"
    label: ClassVar[str] = "Sketch & Co"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(name="base_url", label="Address", default="https://sketch.example/v1", is_url=True),
        Setting(name="api_key", label="API key", help="From the <console>.", secret=True),
        Setting(name="signature", label="Signing key", secret=True, required=False),
        Setting(name="region", label="Region", required=False, choices=("north", "south")),
    )

    def __init__(self, settings: Mapping[str, str], *, allow_private: bool = False) -> None:
        if settings["region"] == "south":
            raise ProviderRejectedError("There is nothing in the south.", code="no_region")
        self.given: dict[str, Any] = dict(settings)
        self.allow_private = allow_private
        self.is_closed = False

    def check(self) -> ConnectionCheck:
        if "down" in self.given["base_url"]:
            return ConnectionCheck(
                reachable=False, authenticated=None, message="down.example does not answer."
            )
        if self.given["api_key"] != GOOD_KEY:
            return ConnectionCheck(reachable=True, authenticated=False, message="The key is not known there.")
        return ConnectionCheck(
            reachable=True,
            authenticated=True,
            message="All is well.",
            trainable=TRAINED,
            served=SERVED,
            quota="3 jobs at once",
        )

    def support(self, base_model: str, objective: Objective) -> Support | None:
        if base_model == "draw-large":
            return Support(
                data_format="together-preference" if objective == "dpo" else "together",
                numbers=(RemoteNumber(name="epochs", low=1, high=2, whole=True),),
                note="Drawn by hand.",
            )
        if base_model == "draw-small" and objective == "supervised":
            return Support(data_format="gemini", fewest_rows=10, most_rows=1000, most_tokens_a_row=30)
        return None

    def close(self) -> None:
        self.is_closed = True


class TalkProvider:
    """Answers and trains nothing."""

    name: ClassVar[str] = "talk"
    label: ClassVar[str] = "Talk"
    settings: ClassVar[tuple[Setting, ...]] = ()

    def __init__(self, settings: Mapping[str, str], *, allow_private: bool = False) -> None:
        pass

    def check(self) -> ConnectionCheck:
        return ConnectionCheck(
            reachable=True, authenticated=True, message="It talks.", served=(RemoteModel(id="talker"),)
        )

    def close(self) -> None:
        pass
