"""The base model that ships: stored by its name, found in this installation's directory when it is loaded."""

from django.conf import settings

BUNDLED_MODEL = "ftportal-tiny"


def model_location(reference: str) -> str:
    """Where to load a base model from: the directory of the bundled one, else the directory or hub id itself."""
    return str(settings.FTPORTAL_BASE_MODEL) if reference == BUNDLED_MODEL else reference
