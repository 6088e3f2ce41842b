"""What people fill in to set up guidelines, sessions and questions."""

import re
from typing import Any

from django import forms
from django.db.models import Q
from django.utils.text import slugify

from apps.datasets.models import Version, VersionState
from apps.labeling.models import (
    Guideline,
    ItemOrder,
    Question,
    QuestionKind,
    Session,
    SessionState,
)
from apps.labeling.models.sessions import MOST_LABELS
from apps.labeling.selectors.sessions import may_label_in
from apps.labeling.services.preparing import row_filter_of
from apps.labeling.services.sessions import PILOT_GATE, PILOT_ITEMS, QuestionWish, SessionWish
from apps.projects.models import Project

MOST_OPTIONS = 1000


class SessionForm(forms.Form):
    name = forms.CharField(max_length=80)
    version = forms.ModelChoiceField(
        Version.objects.none(),
        label="Rows of",
        empty_label=None,
        help_text="A frozen version: its rows never change.",
    )
    row_filter = forms.CharField(
        max_length=4000,
        required=False,
        label="Filter",
        help_text="As in the address of the version's rows: split=test, q=refund, tag=hard. Empty: all rows."
        " The button “Label all that fit” above rows fills it in.",
    )
    row_limit = forms.IntegerField(
        min_value=1,
        max_value=10_000_000,
        required=False,
        label="Take a sample of",
        help_text="Empty: every row that fits.",
    )
    shows_answer = forms.BooleanField(
        required=False,
        initial=True,
        label="Show the row's own answer",
        help_text="Needed to edit, judge or mark it. Hide it where it is what people are to find out.",
    )
    guideline = forms.ModelChoiceField(Guideline.objects.none(), required=False, empty_label="None")
    instructions = forms.CharField(
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What is special about this session. Markdown.",
    )
    overlap = forms.IntegerField(
        min_value=1,
        max_value=MOST_LABELS,
        initial=1,
        label="Labels an item",
        help_text="Each by another person.",
    )
    overlap_percent = forms.IntegerField(
        min_value=0,
        max_value=100,
        initial=100,
        label="On this share of the items",
        help_text="The others get one label. 5 to 10 % are enough to watch agreement for drift.",
    )
    order = forms.ChoiceField(choices=ItemOrder.choices, initial=ItemOrder.RANDOM)
    lease_minutes = forms.IntegerField(
        min_value=1,
        max_value=240,
        initial=10,
        label="An item waits for a silent person",
        help_text="Then somebody else may get it. What comes late is kept all the same.",
    )
    deadline = forms.DateTimeField(
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text="After it no new items are handed out. UTC.",
    )
    everyone = forms.BooleanField(required=False, initial=True, label="Everyone who may label takes part")
    members = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple, label="Or these people"
    )
    is_pilot = forms.BooleanField(
        required=False,
        label="This is a pilot",
        help_text="Several people label the same few items; their agreement decides whether the next session may open.",
    )
    gate_minimum = forms.FloatField(
        min_value=-1,
        max_value=1,
        required=False,
        initial=PILOT_GATE,
        label="The lower bound of agreement must reach",
        help_text="Krippendorff's α, lower end of its 95 % interval, for each required question.",
    )
    pilot = forms.ModelChoiceField(
        Session.objects.none(), required=False, empty_label="No pilot", label="Opens only after the pilot"
    )
    reviews_every_label = forms.BooleanField(required=False, label="A reviewer looks at every label")
    audit_percent = forms.IntegerField(
        min_value=0,
        max_value=100,
        initial=5,
        label="Audit of unanimous items",
        help_text="This share of them goes to an adjudicator all the same.",
    )

    def __init__(self, *args: Any, project: Project, session: Session | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        versions = Version.objects.filter(dataset__project=project, state=VersionState.FROZEN)
        self._choices(
            "version", versions.filter(dataset__deleted_at=None).select_related("dataset").order_by("-pk")
        )
        self._choices("guideline", Guideline.objects.filter(project=project))
        pilots = Session.objects.filter(project=project, is_pilot=True)
        self._choices("pilot", pilots.exclude(pk=session.pk) if session else pilots)
        members = self.fields["members"]
        assert isinstance(members, forms.MultipleChoiceField)
        members.choices = [
            (str(member.user_id), f"{member.user.get_full_name()} ({member.get_role_display().lower()})")
            for member in may_label_in(project)
        ]
        self._asks_about_the_answer = (
            session is not None
            and session.questions.filter(
                Q(kind__in=ABOUT_THE_ANSWER) | Q(kind=QuestionKind.SPANS, options__about="answer")
            ).exists()
        )
        if session is not None and session.state != SessionState.DRAFT:
            for name in FIXED_ONCE_OPEN:
                self.fields[name].disabled = True

    def _choices(self, name: str, queryset: Any) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = queryset

    def clean_row_filter(self) -> str:
        given = str(self.cleaned_data["row_filter"]).strip().lstrip("?")
        query = row_filter_of(given).query
        if given and not query:
            raise forms.ValidationError(
                "This says nothing that rows can be found by. Example: split=test&q=refund"
            )
        return query

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("is_pilot") and cleaned.get("overlap", 2) < 2:
            self.add_error(
                "overlap", "A pilot needs at least two labels an item: agreement is between people."
            )
        if self._asks_about_the_answer and not cleaned.get("shows_answer"):
            self.add_error("shows_answer", "A question of this session is about the answer. Remove it first.")
        if not cleaned.get("everyone") and not cleaned.get("members"):
            self.add_error("members", "Choose who takes part, or let everyone.")
        if cleaned.get("is_pilot") and cleaned.get("gate_minimum") is None:
            cleaned["gate_minimum"] = PILOT_GATE
        return cleaned

    def wish(self) -> SessionWish:
        data = self.cleaned_data
        return SessionWish(
            **{name: data[name] for name in PLAIN_FIELDS},
            overlap_share=data["overlap_percent"] / 100,
            audit_share=data["audit_percent"] / 100,
            lease_seconds=data["lease_minutes"] * 60,
            members=tuple(int(each) for each in data["members"]),
        )

    @staticmethod
    def initial_of(session: Session) -> dict[str, Any]:
        return {name: getattr(session, name) for name in PLAIN_FIELDS} | {
            "overlap_percent": round(session.overlap_share * 100),
            "audit_percent": round(session.audit_share * 100),
            "lease_minutes": max(1, session.lease_seconds // 60),
            "members": [
                str(user_id)
                for user_id in session.participants.filter(is_active=True).values_list("user_id", flat=True)
            ],
        }


PLAIN_FIELDS = (
    "name", "version", "row_filter", "row_limit", "guideline", "instructions", "shows_answer", "overlap", "order",
    "deadline", "everyone", "is_pilot", "gate_minimum", "pilot", "reviews_every_label",
)  # fmt: skip
"""Called alike in the form, in the wish and in the table."""
FIXED_ONCE_OPEN = (
    "version", "row_filter", "row_limit", "shows_answer", "guideline", "overlap", "overlap_percent", "order",
    "is_pilot", "gate_minimum", "pilot", "reviews_every_label", "audit_percent",
)  # fmt: skip
PILOT_INITIAL = {"is_pilot": True, "row_limit": PILOT_ITEMS, "overlap": 2, "gate_minimum": PILOT_GATE}


class QuestionForm(forms.Form):
    title = forms.CharField(max_length=200, label="Question", help_text="What is the customer's intent?")
    kind = forms.ChoiceField(choices=QuestionKind.choices, label="Kind of answer")
    labels = forms.CharField(
        required=False,
        max_length=200_000,
        widget=forms.Textarea(attrs={"rows": 6, "class": "code"}),
        help_text="One a line; after a “|” what it means: refund | money back was asked for",
    )
    ordered = forms.BooleanField(
        required=False,
        label="The labels have an order",
        help_text="From low to high: neighbours then disagree less than the ends.",
    )
    least = forms.IntegerField(min_value=0, max_value=MOST_OPTIONS, required=False, label="At least")
    most = forms.IntegerField(min_value=1, max_value=MOST_OPTIONS, required=False, label="At most")
    low = forms.IntegerField(min_value=-100, max_value=100, required=False, initial=1, label="From")
    high = forms.IntegerField(min_value=-100, max_value=100, required=False, initial=5, label="To")
    steps = forms.CharField(
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 4}),
        label="What the steps mean",
        help_text="One a line, from the lowest: the rubric. May be left out.",
    )
    ties = forms.BooleanField(required=False, label="Ties are allowed")
    about = forms.ChoiceField(
        choices=[("question", "The question"), ("answer", "The answer")],
        required=False,
        label="Spans are marked in",
    )
    help = forms.CharField(
        required=False, max_length=20_000, widget=forms.Textarea(attrs={"rows": 2}), help_text="Markdown."
    )
    required = forms.BooleanField(required=False, initial=True)
    key = forms.SlugField(
        max_length=40, required=False, label="Name in exports", help_text="Empty: made from the question."
    )

    def __init__(self, *args: Any, session: Session, question: Question | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._session, self._question = session, question

    def clean_labels(self) -> list[dict[str, str]]:
        labels = []
        for line in str(self.cleaned_data["labels"]).splitlines():
            value, _, help_text = (part.strip() for part in line.partition("|"))
            if value:
                labels.append({"value": value[:200], "help": help_text[:300]})
        values = [label["value"] for label in labels]
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise forms.ValidationError(f"“{twice}” stands there twice.")
        if len(labels) > MOST_OPTIONS:
            raise forms.ValidationError(f"At most {MOST_OPTIONS} labels.")
        return labels

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        kind = cleaned.get("kind")
        if kind in WITH_LABELS and "labels" in cleaned:
            fewest = 1 if kind == QuestionKind.SPANS else 2
            if len(cleaned["labels"]) < fewest:
                self.add_error(
                    "labels", f"Write at least {fewest} label{'s' if fewest > 1 else ''}, one a line."
                )
        if kind == QuestionKind.RATE:
            low, high = cleaned.get("low"), cleaned.get("high")
            if low is None or high is None or not low < high <= low + 100:
                self.add_error("high", "The scale goes from a lower to a higher number.")
        if kind in ABOUT_THE_ANSWER and not self._session.shows_answer:
            self.add_error("kind", "The session hides the row's answer, so it cannot be asked about.")
        if kind == QuestionKind.SPANS and cleaned.get("about") == "answer" and not self._session.shows_answer:
            self.add_error("about", "The session hides the row's answer.")
        cleaned["key"] = cleaned.get("key") or self._free_key(cleaned.get("title", ""))
        return cleaned

    def _free_key(self, title: str) -> str:
        base = re.sub(r"-+", "_", slugify(title))[:30] or "question"
        taken = set(self._session.questions.values_list("key", flat=True))
        if self._question is not None:
            taken.discard(self._question.key)
        return next(key for key in (base, *(f"{base}_{n}" for n in range(2, 1000))) if key not in taken)

    def wish(self) -> QuestionWish:
        data = self.cleaned_data
        return QuestionWish(
            key=data["key"],
            kind=data["kind"],
            title=data["title"],
            help=data["help"],
            required=data["required"],
            options=_options(data),
        )

    @staticmethod
    def initial_of(question: Question) -> dict[str, Any]:
        options = question.options
        labels = "\n".join(
            " | ".join(filter(None, (label["value"], label.get("help", ""))))
            for label in options.get("labels", ())
        )
        plain = {name: getattr(question, name) for name in ("title", "kind", "help", "required", "key")}
        return {**options, **plain, "labels": labels, "steps": "\n".join(options.get("step_texts", ()))}


WITH_LABELS = (QuestionKind.CHOOSE_ONE, QuestionKind.CHOOSE_SEVERAL, QuestionKind.SPANS)
ABOUT_THE_ANSWER = (QuestionKind.EDIT, QuestionKind.VERDICT, QuestionKind.PREFER, QuestionKind.RANK)


def _options(data: dict[str, Any]) -> dict[str, Any]:
    """Only what belongs to the kind."""
    kind = data["kind"]
    options: dict[str, Any] = {}
    if kind in WITH_LABELS:
        options["labels"] = data["labels"]
    if kind == QuestionKind.CHOOSE_ONE:
        options["ordered"] = data["ordered"]
    if kind == QuestionKind.CHOOSE_SEVERAL:
        options |= {"least": data["least"] or 0, "most": data["most"]}
    if kind == QuestionKind.RATE:
        steps = [line.strip() for line in data["steps"].splitlines()]
        options |= {"low": data["low"], "high": data["high"], "step_texts": [step for step in steps if step]}
    if kind in (QuestionKind.PREFER, QuestionKind.RANK):
        options["ties"] = data["ties"]
    if kind == QuestionKind.SPANS:
        options["about"] = data["about"] or "question"
    return options
