from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm

from apps.accounts.permissions import Role


class SignInForm(AuthenticationForm):
    """E-mail and password. The answer to a wrong one never says which of the two was wrong."""

    error_messages = {  # noqa: RUF012 - Django's own shape
        "invalid_login": "That e-mail and password do not belong together. Check both; capitals count.",
        "inactive": "This account was switched off. Ask an admin.",
    }

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["username"].label = "E-mail"
        self.fields["username"].widget.attrs.update({"autocomplete": "username", "autofocus": True})


class RegisterForm(forms.Form):
    email = forms.EmailField(label="E-mail", widget=forms.EmailInput(attrs={"autocomplete": "username"}))
    name = forms.CharField(
        label="Your name", max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    password = forms.CharField(
        label="Password",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 10 characters, not a common one.",
    )


class OwnPasswordForm(PasswordChangeForm):
    """Stands below other fields, so it does not draw the focus."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["old_password"].widget.attrs.pop("autofocus", None)


class NameForm(forms.Form):
    name = forms.CharField(label="Your name", max_length=120)


class WorkspaceForm(forms.Form):
    name = forms.CharField(
        label="Name", max_length=80, help_text="Your team or department. Members share its projects."
    )


class InvitationForm(forms.Form):
    email = forms.EmailField(
        label="E-mail",
        required=False,
        help_text="Empty: whoever opens the link first may join, once.",
    )
    role = forms.ChoiceField(label="Role", choices=Role.choices, initial=Role.LABELER)


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices)


class ApiKeyForm(forms.Form):
    name = forms.CharField(label="What will use it", max_length=80, help_text="Such as: nightly import")
