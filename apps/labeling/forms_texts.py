"""What people write: guidelines, prompts for drafts, comments."""

import re
from typing import Any

from django import forms

from apps.accounts.models import User
from apps.labeling.drafting import proposed_prompt
from apps.labeling.models import GuidelineChange, Session
from apps.labeling.services.guidelines import MOST_CHARACTERS, GuidelineText
from apps.projects.models import Project
from apps.registry.models import Variant
from apps.registry.selectors import base_models_of, model_versions_of
from apps.registry.services import variant_ensure


class GuidelineForm(forms.Form):
    """A guideline's text. `based_on` is the version that the person saw."""

    name = forms.CharField(max_length=80)
    text = forms.CharField(
        max_length=MOST_CHARACTERS,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 18}),
        label="Guideline",
        help_text="Markdown: # headings, **bold**, lists, tables, links.",
    )
    examples = forms.CharField(
        required=False,
        max_length=MOST_CHARACTERS,
        widget=forms.Textarea(attrs={"rows": 6, "class": "code"}),
        help_text="One a line: + text => answer | why. A counter-example begins with − or -.",
    )
    change = forms.ChoiceField(
        choices=[
            (GuidelineChange.WORDING, "Wording: the same said better; labels stay as they are"),
            (GuidelineChange.STRUCTURE, "Structure: moved or grouped, nothing new"),
            (
                GuidelineChange.MEANING,
                "Meaning: some items get another label now; older labels deserve another look",
            ),
        ],
        widget=forms.RadioSelect,
        label="What kind of change is this?",
    )
    note = forms.CharField(max_length=300, required=False, label="What changed, and why")
    based_on = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, is_new: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("change", "based_on") if is_new else ("name",):
            del self.fields[name]

    def clean_text(self) -> str:
        return str(self.cleaned_data["text"]).replace("\r\n", "\n").strip()

    def clean_examples(self) -> list[dict[str, Any]]:
        examples = []
        for number, line in enumerate(str(self.cleaned_data["examples"]).splitlines(), 1):
            if not line.strip():
                continue
            found = _EXAMPLE.match(line.strip())
            if found is None:
                raise forms.ValidationError(f"Line {number} is not of the form: + text => answer | why")
            examples.append(
                {
                    "good": found["sign"] == "+",
                    "text": found["text"].strip(),
                    "answer": found["answer"].strip(),
                    "why": (found["why"] or "").strip(),
                }
            )
        return examples

    def content(self) -> GuidelineText:
        data = self.cleaned_data
        return GuidelineText(text=data["text"], examples=data["examples"], note=data["note"])


_EXAMPLE = re.compile(r"\A(?P<sign>[+−-])\s*(?P<text>.+?)\s*=>\s*(?P<answer>[^|]+?)\s*(?:\|(?P<why>.*))?\Z")


def examples_as_lines(examples: list[dict[str, Any]]) -> str:
    return "\n".join(
        f"{'+' if example['good'] else '-'} {example['text']} => {example['answer']}"
        + (f" | {example['why']}" if example.get("why") else "")
        for example in examples
    )


class DraftsForm(forms.Form):
    """Which model proposes answers, and with which prompt."""

    model = forms.ChoiceField(help_text="A base model with a prompt, or a tuned one.")
    system_prompt = forms.CharField(
        required=False, max_length=20_000, strip=False, widget=forms.Textarea(attrs={"rows": 6, "class": "code"}),
        label="Prompt", help_text="One question: the whole reply answers it. Several: a line “name: answer” each.",
    )  # fmt: skip

    def __init__(self, *args: Any, session: Session, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {"system_prompt": proposed_prompt(list(session.questions.all()))})
        super().__init__(*args, **kwargs)
        self._tuned = {f"tuned-{one.pk}": one for one in model_versions_of(session.project)}
        self._bases = {f"base-{one.pk}": one for one in base_models_of(session.project.workspace)}
        field = self.fields["model"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(key, str(one)) for key, one in (self._tuned | self._bases).items()]

    def variant(self, project: Project, actor: User) -> Variant:
        key = self.cleaned_data["model"]
        tuned = self._tuned.get(key)
        base = tuned.base_model if tuned is not None else self._bases[key]
        return variant_ensure(
            project=project,
            name=f"Drafts by {tuned or base}",
            base_model=base,
            model_version=tuned,
            system_prompt=self.cleaned_data["system_prompt"],
            actor=actor,
        )


class CommentForm(forms.Form):
    text = forms.CharField(max_length=5000, widget=forms.Textarea(attrs={"rows": 2}), label="Comment")
