from django import forms

from apps.projects.models import default_base_model


class ProjectForm(forms.Form):
    name = forms.CharField(label="Name", max_length=80)
    goal = forms.CharField(
        label="Goal",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What the model should do, and how you will know that it does it well enough.",
    )
    base_model = forms.CharField(
        label="Base model",
        required=False,
        max_length=300,
        help_text="A directory with a Hugging Face model on the server, or a hub id where the hub can be reached."
        " Its tokenizer counts your tokens. Empty: the tiny model that ships with ftportal.",
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["base_model"].widget.attrs["placeholder"] = default_base_model()
