"""What a connection's last listing said, as plain values. No database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from apps.providers.contracts import Objective

OBJECTIVES: tuple[Objective, ...] = ("supervised", "dpo")


@dataclass(frozen=True, kw_only=True)
class OfferedModel:
    """One model of a listing, in whichever lists it stood. None: the provider doesn't say."""

    id: str
    label: str
    owner: str
    objectives: tuple[str, ...] | None
    context_length: int | None
    end_of_life: date | None
    tuned: bool
    trainable: bool
    served: bool

    @property
    def training_text(self) -> str:
        """Towards what it can be trained, in words."""
        if not self.trainable:
            return "no"
        if self.objectives is None:
            return "yes"
        return ", ".join("DPO" if each == "dpo" else each for each in self.objectives) or "no"


def offered_models(offered: Mapping[str, Any]) -> list[OfferedModel]:
    """Models of both lists, each once, those that can be trained first, then by name."""
    found: dict[str, OfferedModel] = {}
    for kind in ("trainable", "served"):
        for each in offered.get(kind) or ():
            earlier = found.get(each["id"])
            found[each["id"]] = _merged(each, kind, earlier)
    return sorted(found.values(), key=lambda model: (not model.trainable, model.tuned, model.id))


def offered_model(offered: Mapping[str, Any], model_id: str) -> OfferedModel | None:
    return next((model for model in offered_models(offered) if model.id == model_id), None)


def _merged(each: Mapping[str, Any], kind: str, earlier: OfferedModel | None) -> OfferedModel:
    ends = _date(each.get("end_of_life"))
    objectives: Sequence[str] | None = each.get("objectives")
    return OfferedModel(
        id=each["id"],
        label=each.get("label") or (earlier.label if earlier else ""),
        owner=each.get("owner") or (earlier.owner if earlier else ""),
        objectives=tuple(objectives) if objectives is not None else (earlier.objectives if earlier else None),
        context_length=each.get("context_length") or (earlier.context_length if earlier else None),
        end_of_life=ends or (earlier.end_of_life if earlier else None),
        tuned=bool(each.get("tuned")) or bool(earlier and earlier.tuned),
        trainable=kind == "trainable" or bool(earlier and earlier.trainable),
        served=kind == "served" or bool(earlier and earlier.served),
    )


def _date(text: Any) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except (TypeError, ValueError):
        return None
