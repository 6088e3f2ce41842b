"""What people fill in: a file, a dataset's name, how to divide a version."""

from pathlib import PurePath
from typing import Any
from urllib.parse import unquote, urlsplit

from django import forms
from django.conf import settings
from django.db.models import QuerySet
from django.utils.html import escape

from apps.core.formatting import format_bytes, format_number
from apps.datasets.groups import GroupPath
from apps.datasets.mapping import PLACEHOLDER, TEMPLATE, RowMapping
from apps.datasets.models import Dataset, Upload
from apps.datasets.presets import PRESETS
from apps.projects.models import Project

KEEP_CHOICES = [
    ("drop", "Drop duplicates: each conversation is in the dataset once"),
    ("keep", "Keep duplicates: some conversations will weigh more in training"),
]


class _IntoForm(forms.Form):
    """Into a dataset that exists or into a new one; `_file_name` is what the latter is called after."""

    dataset = forms.ModelChoiceField(
        Dataset.objects.none(), required=False, empty_label="A new dataset", label="Into"
    )
    name = forms.CharField(
        max_length=80,
        required=False,
        label="Name of the new dataset",
        help_text="Left empty, the file's name is taken.",
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._datasets = Dataset.objects.filter(project=project)
        field = self.fields["dataset"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = self._datasets

    def _file_name(self, cleaned: dict[str, Any]) -> str | None:
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        file_name = self._file_name(cleaned)
        if cleaned.get("dataset") is None and file_name is not None:
            name = (cleaned.get("name") or _stem(file_name)).strip()[:80] or "Dataset"
            if self._datasets.filter(name=name).exists():
                self.add_error(
                    "name",
                    f"The project has a dataset “{name}” already. Choose it above, or give another name.",
                )
            cleaned["name"] = name
        return cleaned


def _stem(file_name: str) -> str:
    path = PurePath(file_name)
    return PurePath(path.stem).stem if path.suffix in (".gz", ".gzip", ".zst", ".zstd") else path.stem


class UploadForm(_IntoForm):
    """A file from the person's machine."""

    file = forms.FileField(
        max_length=255,
        error_messages={
            "required": "Choose a file first.",
            "empty": "The file is empty: it has no bytes at all. Nothing was imported.",
        },
    )

    upload = forms.ModelChoiceField(Upload.objects.none(), required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, uploads: QuerySet[Upload], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["upload"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = uploads
        if self.data.get("upload"):  # its pieces are here already
            self.fields["file"].required = False

    def clean_upload(self) -> Upload | None:
        upload: Upload | None = self.cleaned_data["upload"]
        if upload is not None and not upload.is_whole:
            raise forms.ValidationError(
                f"{upload.file_name} has not come in completely. Upload it again: it goes on where it stopped."
            )
        return upload

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file is not None and file.size > settings.FTPORTAL_UPLOAD_LIMIT:
            raise forms.ValidationError(
                f"The file is {format_bytes(file.size)}; at most {format_bytes(settings.FTPORTAL_UPLOAD_LIMIT)} are"
                " taken in one file. Split it and import the parts into one dataset."
            )
        return file

    def _file_name(self, cleaned: dict[str, Any]) -> str | None:
        upload, file = cleaned.get("upload"), cleaned.get("file")
        if upload is not None:
            return str(upload.file_name)
        return None if file is None else str(file.name)


class FetchForm(_IntoForm):
    """A file that the server gets by itself."""

    place = forms.CharField(
        max_length=2000,
        label="Address",
        widget=forms.TextInput(attrs={"placeholder": "https://example.org/rows.jsonl", "inputmode": "url"}),
        error_messages={"required": "Give the address of a file."},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, auto_id="fetch_%s", **kwargs)
        self.order_fields(["place"])
        if settings.FTPORTAL_IMPORT_DIRECTORY:
            place = self.fields["place"]
            place.label = "Address or path"
            place.help_text = "An https address, or a path in the import directory of this server."

    @property
    def is_url(self) -> bool:
        return "://" in self.cleaned_data["place"] or not settings.FTPORTAL_IMPORT_DIRECTORY

    def _file_name(self, cleaned: dict[str, Any]) -> str | None:
        if "place" not in cleaned:
            return None
        return unquote(PurePath(urlsplit(cleaned["place"]).path).name) or "download"


class MappingForm(forms.Form):
    """Which column means what. Its fields are those of the preset; `shown` is the preset that they were made for."""

    preset = forms.ChoiceField(label="Shape of the rows")
    shown = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, data: Any = None, *, mapping: RowMapping, columns: list[str], **kwargs: Any) -> None:
        if data is not None and data.get("preset") != data.get("shown"):
            data = None  # another shape was chosen: its usual mapping comes up
        super().__init__(data, **kwargs)
        self._columns = columns
        self._preset = PRESETS[mapping.preset]
        choice = self.fields["preset"]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = [(preset.key, preset.label) for preset in PRESETS.values()]
        choice.initial = self.fields["shown"].initial = mapping.preset
        choice.help_text = self._preset.description
        known = [(column, column) for column in columns]
        for part in self._preset.parts:
            self.fields[f"part_{part.key}"] = forms.ChoiceField(
                label=part.label,
                required=part.required,
                choices=[("", "–"), *known],
                initial=mapping.fields.get(part.key, ""),
                error_messages={
                    "required": f"Choose the column of the {part.label.lower()}.",
                    "invalid_choice": "The file has no column “%(value)s”. It has: "
                    + ", ".join(columns)[:300],
                },
            )
        if mapping.preset == TEMPLATE:
            self.fields["prompt"] = self._template("Prompt", mapping.prompt, 4)
            self.fields["answer"] = self._template("Answer", mapping.answer, 1)
        self.fields["system"] = self._template(
            "System message for every row", mapping.system, 2, required=False
        )
        self.fields["split"] = forms.ChoiceField(
            label="Split",
            required=False,
            choices=[("", "The file names none"), *known],
            initial=mapping.split,
            help_text="A column with train, validation or test.",
        )
        self.fields["save_as"] = forms.CharField(
            label="Keep this mapping as",
            max_length=80,
            required=False,
            help_text="A name under which the next file of this shape is read.",
        )

    def _template(self, label: str, initial: str, rows: int, *, required: bool = True) -> forms.CharField:
        shown = ", ".join(f"{{{{{column}}}}}" for column in self._columns[:8])
        return forms.CharField(
            label=label,
            required=required,
            initial=initial,
            max_length=20_000,
            strip=False,
            widget=forms.Textarea(attrs={"rows": rows}),
            help_text=f"May hold {escape(shown)}" if shown else "",  # drawn as HTML
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for name in ("system", "prompt", "answer"):
            text = cleaned.get(name) or ""
            missing = [
                column
                for column in PLACEHOLDER.findall(text)
                if column not in self._columns and column.split(".")[0] not in self._columns
            ]
            if missing:
                has = ", ".join(self._columns)[:300]
                self.add_error(name, f"The file has no column “{missing[0]}”. It has: {has}")
        return cleaned

    @property
    def mapping(self) -> RowMapping:
        """As filled in; only of a valid form."""
        cleaned = self.cleaned_data
        parts = {part.key: cleaned[f"part_{part.key}"] for part in self._preset.parts}
        return RowMapping(
            self._preset.key,
            fields={key: column for key, column in parts.items() if column},
            **{name: cleaned.get(name) or "" for name in ("system", "prompt", "answer", "split")},
        )


class DatasetForm(forms.Form):
    name = forms.CharField(max_length=80)
    description = forms.CharField(
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Where the rows come from, and what is in them.",
    )
    licence = forms.CharField(
        required=False,
        max_length=100,
        help_text="Under which the rows may be used, such as CC-BY-4.0. It goes into every export.",
    )


class CommitForm(forms.Form):
    duplicates = forms.ChoiceField(choices=KEEP_CHOICES, initial="drop", required=False)

    @property
    def keep_duplicates(self) -> bool:
        return bool(self.cleaned_data["duplicates"] == "keep")


class FreezeForm(forms.Form):
    """How the rows of a version are divided. `number` is the one that the page promised."""

    number = forms.IntegerField(required=False, widget=forms.HiddenInput)
    train_percent = forms.IntegerField(label="Train", initial=80, min_value=1, max_value=100)
    validation_percent = forms.IntegerField(label="Validation", initial=10, min_value=0, max_value=99)
    test_percent = forms.IntegerField(label="Test", initial=10, min_value=0, max_value=99)
    group_path = forms.ChoiceField(
        label="Keep together",
        required=False,
        help_text="Rows with the same value go into the same split, so that the test is not a test of memory.",
    )
    keeps_splits = forms.BooleanField(
        label="Keep the splits that the files gave",
        required=False,
        help_text="Rows without one are divided by the shares.",
    )
    seed = forms.IntegerField(
        initial=42,
        min_value=0,
        max_value=2**63 - 1,
        help_text="The same rows, shares and seed give the same version, on any machine.",
    )
    note = forms.CharField(
        max_length=300, required=False, help_text="What is new in this version, for those who come later."
    )

    release_test = forms.BooleanField(
        label="Let rows that an earlier version tested on be trained on",
        required=False,
        help_text="Figures on that version's test split then say nothing any more about models trained on this one.",
    )
    release_reason = forms.CharField(label="Why", max_length=300, required=False)

    def __init__(
        self,
        *args: Any,
        group_paths: list[GroupPath],
        given: dict[str, int] | None = None,
        was_tested: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if given:
            counts = ", ".join(f"{format_number(count)} {name}" for name, count in given.items())
            self.fields["keeps_splits"].help_text = f"{counts}. Rows without one are divided by the shares."
            self.fields["keeps_splits"].initial = True
        else:
            del self.fields["keeps_splits"]
        if not was_tested:
            del self.fields["release_test"], self.fields["release_reason"]
        field = self.fields["group_path"]
        assert isinstance(field, forms.ChoiceField)
        field.initial = next((group.path for group in group_paths if group.names_conversations), "")
        field.choices = [
            ("", "Nothing but exact duplicates"),
            *(
                (group.path, f"Rows with the same {group.path}, such as {group.example[:60]}")
                for group in group_paths
            ),
        ]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("release_test") and not (cleaned.get("release_reason") or "").strip():
            self.add_error("release_reason", "Say why, for those who will read the figures later.")
        names = ("train_percent", "validation_percent", "test_percent")
        if all(name in cleaned for name in names):
            total = sum(cleaned[name] for name in names)
            if total != 100:
                self.add_error(
                    "train_percent", f"The three shares add up to {total} %; they must make 100 %."
                )
        return cleaned

    @property
    def test_release_reason(self) -> str:
        cleaned = self.cleaned_data
        return str(cleaned["release_reason"]).strip() if cleaned.get("release_test") else ""
