from django import forms


class BaseModelForm(forms.Form):
    """A model to start from."""

    reference = forms.CharField(
        label="Directory or hub id",
        max_length=300,
        help_text="A directory on the server with config.json and safetensors weights, or a hub id such as"
        " organisation/model. Check its licence and its size: too small cannot learn, too large is slow.",
        widget=forms.TextInput(
            attrs={"placeholder": "/models/base or organisation/model", "spellcheck": "false"}
        ),
    )
    revision = forms.CharField(
        label="Revision",
        max_length=64,
        required=False,
        help_text="The commit of a hub model. Pinned, it cannot change under you.",
    )


class OfferedModelForm(forms.Form):
    """A model of a provider, by the provider's own name for it."""

    reference = forms.CharField(label="Model", max_length=300)
