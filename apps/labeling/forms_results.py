"""What reviewers, adjudicators and leads fill in about labels."""

from collections.abc import Sequence
from typing import Any

from django import forms

from apps.accounts.models import Membership
from apps.core.formatting import format_number
from apps.labeling.answers import TEXTUAL, TIE, AnswerError, label_values
from apps.labeling.gold import BECOME_ANSWERS
from apps.labeling.likeness import candidate_letter
from apps.labeling.models import Cause, LabelImport, Question, Session
from apps.labeling.selectors.resolving import ShownQuestion
from apps.labeling.services.adjudicating import Choice
from apps.labeling.written import written_value

OWN = "own"


def _count(number: int, what: str) -> str:
    return f"{format_number(number)} {what}{'' if number == 1 else 's'}"


class JudgeForm(forms.Form):
    """The one answer to each question, why the labels differed, and a note."""

    cause = forms.ChoiceField(
        choices=Cause.choices, required=False, widget=forms.RadioSelect, label="Why they differ"
    )
    note = forms.CharField(
        max_length=5000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Needed with an answer of your own.",
    )
    seconds = forms.FloatField(required=False, min_value=0, widget=forms.HiddenInput)

    def __init__(
        self,
        *args: Any,
        shown: Sequence[ShownQuestion],
        texts: dict[str, str],
        candidates: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.shown, self.texts = shown, texts
        for one in shown:
            question = one.question
            choices = [(str(answer.submission), answer.text) for answer in one.answers] + [
                (OWN, "Another answer")
            ]
            chosen = choices[0][0] if one.is_unanimous else None
            self.fields[f"choice-{question.key}"] = forms.ChoiceField(
                choices=choices,
                required=False,
                initial=chosen,
                label=question.title,
                widget=forms.RadioSelect,
            )
            self.fields[f"own-{question.key}"] = own_field(question, candidates)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        choices = {}
        for one in self.shown:
            key, kind = one.question.key, one.question.kind
            wanted = data.get(f"choice-{key}") or ""
            if wanted and wanted != OWN:
                choices[key] = Choice(taken_from=int(wanted))
                continue
            try:
                value = written_value(kind, data.get(f"own-{key}"), self.texts.get(key, ""))
            except AnswerError as error:
                self.add_error(f"own-{key}", str(error))
                continue
            choices[key] = Choice(value=value)
        data["choices"] = choices
        return data

    def refuse(self, problems: dict[str, str]) -> None:
        """Show what the service refused, each at its question."""
        for key, problem in problems.items():
            self.add_error(f"own-{key}" if f"own-{key}" in self.fields else None, problem)

    @property
    def asked(self) -> list[dict[str, Any]]:
        """Each question with its fields, for the page."""
        return [
            {
                "shown": one,
                "choice": self[f"choice-{one.question.key}"],
                "own": self[f"own-{one.question.key}"],
                "answers": self._answers(one),
                "chosen": str(self[f"choice-{one.question.key}"].value() or ""),
            }
            for one in self.shown
        ]

    def _answers(self, one: ShownQuestion) -> list[tuple[int, Any]]:
        return list(enumerate(one.answers, 1))


def own_field(question: Question, candidates: int) -> forms.Field:
    """Where an answer of one's own is typed or chosen."""
    kind, options = question.kind, question.options
    if kind == "choose_several":
        values = [(label, label) for label in label_values(options)]
        return forms.MultipleChoiceField(
            choices=values, required=False, widget=forms.CheckboxSelectMultiple, label="Your answer"
        )
    choices = {
        "choose_one": [(label, label) for label in label_values(options)],
        "prefer": [(str(n), f"Answer {candidate_letter(n)}") for n in range(1, max(2, candidates) + 1)]
        + ([(TIE, "Tie")] if options.get("ties") else []),
        "verdict": [("accept", "Accept"), ("reject", "Reject")],
    }.get(kind)
    if choices is not None:
        return forms.ChoiceField(choices=[("", "…"), *choices], required=False, label="Your answer")
    if kind == "rate":
        return forms.IntegerField(
            required=False,
            min_value=int(options.get("low", 1)),
            max_value=int(options.get("high", 5)),
            label="Your answer",
        )
    hints = {
        "rank": "Best first: B > A = C.",
        "spans": "A line for each: label: words of the text. For none: none.",
    }
    rows = 6 if kind in TEXTUAL else 3
    return forms.CharField(
        required=False,
        strip=False,
        max_length=100_000,
        widget=forms.Textarea(attrs={"rows": rows}),
        label="Your answer",
        help_text=hints.get(kind, ""),
    )


class ReturnForm(forms.Form):
    reason = forms.CharField(
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}),
        label="What should be different",
        help_text="Its author reads it beside the item.",
    )


class SetAsideForm(forms.Form):
    note = forms.CharField(max_length=5000, widget=forms.Textarea(attrs={"rows": 2}), label="Why")


class OverruleForm(forms.Form):
    opens = forms.ChoiceField(
        choices=[("1", "Open the gate"), ("", "Close the gate")], required=False, label="Gate"
    )
    reason = forms.CharField(max_length=2000, widget=forms.Textarea(attrs={"rows": 2}), label="Why")


class OutcomeForm(forms.Form):
    """How the answers go into the dataset."""

    answer_from = forms.ChoiceField(
        required=False,
        label="The assistant's answer",
        help_text="The row gets this answer. The other answers go into the row's metadata with their provenance.",
    )
    leaves_out_rejected = forms.BooleanField(
        required=False, initial=True, label="Take out rows that were rejected or judged bad"
    )
    makes_pairs = forms.BooleanField(
        required=False,
        label="Make preference pairs of edits, preferences and rankings",
        help_text="They go into a dataset of their own.",
    )
    freezes = forms.BooleanField(required=False, initial=True, label="Freeze a new version at once")

    def __init__(self, *args: Any, session: Session, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        questions = [one for one in session.questions.all() if one.kind in BECOME_ANSWERS]
        proposed = next((one.key for one in questions if one.kind in ("edit", "write")), "")
        if not proposed and not session.shows_answer and questions:
            # What the row answers was hidden, so finding it out was the task.
            proposed = questions[0].key
        field = self.fields["answer_from"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [
            ("", "stays as it is"),
            *((one.key, f"is the answer to “{one.title}”") for one in questions),
        ]
        field.initial = proposed
        kinds = {one.kind for one in session.questions.all()}
        if not kinds & {"edit", "prefer", "rank"}:
            del self.fields["makes_pairs"]


class LabelFileForm(forms.Form):
    file = forms.FileField(help_text="Label Studio JSON, Argilla records, doccano JSONL or Prodigy JSONL.")


class LabelImportForm(forms.Form):
    """Who is who, and which question of the file answers which question here."""

    is_independent = forms.BooleanField(
        required=False,
        initial=True,
        label="These labels were made without seeing others' labels",
        help_text="Only such labels count for agreement.",
    )

    def __init__(self, *args: Any, found: LabelImport, members: Sequence[Membership], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.people = list(found.found["labelers"])
        self.asked = list(found.found["questions"])
        users = [("", "leave out"), *((str(one.user_id), str(one.user)) for one in members)]
        known = {
            name.casefold(): str(one.user_id) for one in members for name in (one.user.email, one.user.name)
        }
        for place, name in enumerate(self.people):
            label = f"{name or 'Nobody named'} ({_count(found.found['labelers'][name], 'label')})"
            self.fields[f"person-{place}"] = forms.ChoiceField(
                choices=users, required=False, label=label, initial=known.get(name.casefold(), "")
            )
        questions = list(found.session.questions.all())
        keys = [("", "leave out"), *((one.key, one.title) for one in questions)]
        for place, name in enumerate(self.asked):
            only = len(questions) == 1 and len(self.asked) == 1
            same = next(
                (one.key for one in questions if name.casefold() in (one.key, one.title.casefold())), ""
            )
            self.fields[f"question-{place}"] = forms.ChoiceField(
                choices=keys,
                required=False,
                label=f"“{name}” ({_count(found.found['questions'][name], 'answer')})",
                initial=questions[0].key if only else same,
            )
        self.order_fields([name for name in self.fields if name != "is_independent"])

    @property
    def labelers(self) -> dict[str, int]:
        chosen = ((name, self.cleaned_data[f"person-{place}"]) for place, name in enumerate(self.people))
        return {name: int(user) for name, user in chosen if user}

    @property
    def questions(self) -> dict[str, str]:
        chosen = ((name, self.cleaned_data[f"question-{place}"]) for place, name in enumerate(self.asked))
        return {name: key for name, key in chosen if key}
