from django import forms


class AuditFilterForm(forms.Form):
    actor = forms.CharField(label="Who", required=False, max_length=254)
    action = forms.ChoiceField(label="What", required=False)
    target = forms.CharField(label="On what", required=False, max_length=200)
    since = forms.DateField(label="From", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label="To", required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, data: object, *, actions: list[str]) -> None:
        super().__init__(data)  # type: ignore[arg-type]
        field = self.fields["action"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "Everything"), *((action, action) for action in actions)]
