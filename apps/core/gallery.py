"""Examples for the gallery of components, which is served only with FTPORTAL_DEBUG: every part in every state."""

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

STAGES: list[dict[str, Any]] = [
    {
        "key": "overview",
        "label": "Overview",
        "icon": "layout-dashboard",
        "state": "",
        "count": None,
        "current": True,
    },
    {"key": "data", "label": "Data", "icon": "database", "state": "done", "count": 12480, "current": False},
    {
        "key": "train",
        "label": "Train",
        "icon": "chart-line",
        "state": "working",
        "count": 3,
        "current": False,
    },
    {
        "key": "evaluate",
        "label": "Evaluate",
        "icon": "scale",
        "state": "attention",
        "count": 2,
        "current": False,
    },
    {"key": "models", "label": "Models", "icon": "box", "state": "empty", "count": 0, "current": False},
    {
        "key": "settings",
        "label": "Settings",
        "icon": "settings",
        "state": "",
        "count": None,
        "current": False,
    },
]
CONVERSATION: list[dict[str, Any]] = [
    {"role": "system", "content": "Answer with the queue of the ticket: billing, technical or other."},
    {"role": "user", "content": "My invoice shows <b>two</b> charges for May.\nOne of them says 12,00 €."},
    {"role": "assistant", "content": "billing", "weight": 1},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "function": {"name": "refund"}}]},
]


class GalleryForm(forms.Form):
    """One field of each kind."""

    name = forms.CharField(help_text="What your colleagues will call it.")
    learning_rate = forms.FloatField(initial=0.0002, help_text="Usually between 0.0001 and 0.001.")
    epochs = forms.IntegerField(initial=3, max_value=100)
    method = forms.ChoiceField(choices=[("lora", "LoRA adapter"), ("full", "Full fine-tuning")])
    too_long = forms.ChoiceField(
        label="Rows that are too long",
        widget=forms.RadioSelect,
        choices=[
            ("drop", "Leave them out"),
            ("truncate", "Cut them at the limit"),
            ("refuse", "Refuse to start"),
        ],
        initial="drop",
    )
    early_stop = forms.BooleanField(
        label="Stop early when validation loss rises",
        required=False,
        help_text="After three evaluations in a row.",
    )
    note = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), required=False)


@dataclass(frozen=True)
class SampleOperation:
    """The part of an operation that is shown."""

    title: str
    state: str
    done: int = 0
    total: int | None = None
    unit: str = "rows"
    message: str = ""
    error: str = ""
    rate: float | None = None
    seconds_left: float | None = None
    seconds: float | None = None
    cancel_requested_at: object = None
    url: str = "#content"

    @property
    def is_active(self) -> bool:
        return self.state in ("queued", "running")

    @property
    def share(self) -> float | None:
        return self.done / self.total if self.total else None

    def get_state_display(self) -> str:
        return {"queued": "Waiting for a worker", "succeeded": "Done"}.get(
            self.state, self.state.capitalize()
        )


def sample_operations() -> list[SampleOperation]:
    return [
        SampleOperation(
            "Check tickets-2026.jsonl",
            "running",
            61_400,
            98_213,
            "rows",
            "Looking for near-duplicates",
            "",
            5210.4,
            7.1,
        ),
        SampleOperation("Train tickets-lora-2", "queued", total=None),
        SampleOperation(
            "Count tokens of version 4", "running", 3_200, None, "rows", rate=812.0, cancel_requested_at="now"
        ),
        SampleOperation("Import tickets-2025.csv", "succeeded", 41_002, 41_002, "rows", seconds=8.3),
        SampleOperation(
            "Evaluate best prompt on version 4",
            "failed",
            120,
            500,
            "answers",
            seconds=72,
            error="The endpoint refused the key (401). Enter a new key under Settings, then run it again: "
            "the 120 answers are kept.",
        ),
    ]


def gallery_context() -> dict[str, Any]:
    now = timezone.now()
    bound = GalleryForm({"learning_rate": "fast", "epochs": "300", "method": "lora", "too_long": "drop"})
    return {
        **_shell(),
        "operations": sample_operations(),
        "page": SimpleNamespace(before=120, after=171, query="state=done"),
        "first_page": SimpleNamespace(before=None, after=51, query=""),
        "tabs": [
            {"label": "Rows", "url": "#content", "current": True, "count": 12480},
            {"label": "Checks", "url": "#content", "current": False, "count": 3},
            {"label": "History", "url": "#content", "current": False},
        ],
        "states": ["queued", "running", "succeeded", "failed", "cancelled", "needs_review"],
        "times": [
            now - age
            for age in (timedelta(seconds=3), timedelta(minutes=12), timedelta(hours=5), timedelta(days=40))
        ],
        "form": GalleryForm(),
        "bound": bound,
        "messages_chat": CONVERSATION,
        "nothing": None,
        "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "contenders": [
            {
                "name": "Base model, zero-shot",
                "point": 0.612,
                "low": 0.568,
                "high": 0.654,
                "cost": None,
                "best": False,
            },
            {"name": "Best prompt", "point": 0.840, "low": 0.805, "high": 0.870, "cost": 1.92, "best": False},
            {
                "name": "tickets-lora-2",
                "point": 0.912,
                "low": 0.884,
                "high": 0.934,
                "cost": 0.71,
                "best": True,
            },
        ],
        "single_run": [
            {
                "name": "tickets-lora-2",
                "url": reverse("gallery_metrics", args=["single"]),
                "csv_url": "#content",
            }
        ],
        "two_runs": [
            {"name": "rank 8", "url": reverse("gallery_metrics", args=["single"])},
            {"name": "rank 32", "url": reverse("gallery_metrics", args=["other"])},
        ],
        "live_run": [{"name": "now", "url": reverse("gallery_metrics", args=["live"])}],
        "empty_run": [{"name": "waiting", "url": reverse("gallery_metrics", args=["empty"])}],
        "live_url": reverse("gallery_stream"),
    }


def _shell() -> dict[str, Any]:
    """What the context processor sets on real pages."""
    return {
        "workspace": SimpleNamespace(name="Support team", get_absolute_url="#content"),
        "project": SimpleNamespace(name="Ticket routing", get_absolute_url="#content"),
        "workspaces": [
            {"name": "Support team", "url": "#content", "current": True},
            {"name": "Legal", "url": "#content", "current": False},
        ],
        "projects": [
            {"name": "Ticket routing", "url": "#content", "current": True},
            {"name": "Reply drafts", "url": "#content", "current": False},
        ],
        "project_stages": [{**stage, "url": "#content"} for stage in STAGES],
        "workspace_pages": [
            {"label": "Members", "url": "#content", "icon": "users", "current": False},
            {"label": "API keys", "url": "#content", "icon": "key", "current": False},
        ],
        "account_pages": [{"label": "Account", "url": "#content", "icon": "user"}],
        "sign_out_url": "#content",
        "running_operations_url": reverse("gallery_running"),
        "breadcrumbs": [
            {"label": "Support team", "url": "#content"},
            {"label": "Ticket routing", "url": "#content"},
            {"label": "Components"},
        ],
    }


@login_not_required
def gallery(request: HttpRequest) -> HttpResponse:
    """Every component in every state, for designers and screenshots."""
    return render(request, "core/gallery.html", gallery_context())


@login_not_required
def gallery_running(request: HttpRequest) -> HttpResponse:
    active = [operation for operation in sample_operations() if operation.is_active]
    return render(request, "components/running_work.html", {"operations": active, "url": reverse("gallery")})


def _curves(
    seed: int, steps: int, turn: int
) -> tuple[list[list[float | int | None]], list[list[float | int | None]]]:
    """A run as it might be: noisy falling loss, and validation that rises again after `turn`."""
    noise = random.Random(seed)
    points: list[list[float | int | None]] = []
    evaluations: list[list[float | int | None]] = []
    for step in range(1, steps + 1):
        loss = 0.42 + 1.9 * math.exp(-step / 70) + noise.gauss(0, 0.06 + 0.12 * math.exp(-step / 60))
        rate = 2e-4 * min(1, step / 20) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        speed = None if step == 1 else 3400 + noise.gauss(0, 160)
        accuracy = 1 - 0.5 * loss / 2.3 + noise.gauss(0, 0.01)
        norm = abs(0.8 + 2 * math.exp(-step / 40) + noise.gauss(0, 0.2))
        points.append(
            [
                step,
                step / 160,
                step * 4096,
                step * 1.21,
                round(loss, 4),
                rate,
                norm,
                speed,
                min(accuracy, 0.99),
            ]
        )
        if step % 25 == 0:
            rise = max(0.0, step - turn) * 0.0011
            value = 0.58 + 1.75 * math.exp(-step / 75) + rise + noise.gauss(0, 0.008)
            evaluations.append(
                [step, step / 160, step * 4096, step * 1.21, round(value, 4), 0.82 - value / 8]
            )
    return points, evaluations


RUNS = {"single": (7, 480, 260), "other": (11, 420, 900), "live": (3, 480, 900)}


@login_not_required
def gallery_metrics(request: HttpRequest, run: str) -> HttpResponse:
    """Answers as the metrics of a training job do; docs/design-system.md describes the shape."""
    if run == "empty":
        return JsonResponse(
            {"points": [], "evaluations": [], "last_id": None, "first_point_step": 10, "finished": False}
        )
    if run not in RUNS:
        raise Http404
    seed, steps, turn = RUNS[run]
    points, evaluations = _curves(seed, steps, turn)
    seen = int(time.time() * 4) % steps + 1 if run == "live" else steps
    after = int(request.GET.get("after", "0"))
    known = [row for row in evaluations if int(row[0] or 0) <= seen]
    best = min(known, key=lambda row: row[4] or 0)[0] if known else None
    overfitting = {"from_step": 275, "advice": "Stop here, or use the checkpoint of step 250."}
    return JsonResponse(
        {
            "points": points[after:seen],
            "evaluations": [row for row in known if int(row[0] or 0) > after],
            "last_id": seen,
            "best_step": best,
            "overfitting": overfitting if run == "single" else None,
            "finished": run != "live",
            "total_steps": steps,
            "downsampled": False,
        }
    )


async def _hints() -> AsyncIterator[str]:
    while True:
        yield "event: metrics\ndata: 1\n\n"
        await asyncio.sleep(1)


@login_not_required
async def gallery_stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(
        _hints(), content_type="text/event-stream", headers={"Cache-Control": "no-cache"}
    )
