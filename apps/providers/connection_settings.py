"""Whether what a person told about a connection is complete and may be stored. No database."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from apps.core.errors import PortalError
from apps.core.outgoing import OutgoingError, checked_url
from apps.providers.remote import Setting

LONGEST = 20_000
"""Characters of one value: a key file of a cloud fits."""


class SettingError(PortalError):
    """One setting can't be taken; `field` is its name, or "name" for the connection's own."""

    code = "setting_refused"

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


def checked_settings(
    declared: tuple[Setting, ...], given: Mapping[str, str], *, allow_private: bool
) -> dict[str, str]:
    """The values of the settings that are no secrets, with defaults filled in. Raises SettingError."""
    known = {setting.name: setting for setting in declared if not setting.secret}
    _refuse_unknown(known, given)
    return {
        name: value
        for name, setting in known.items()
        if (value := _checked(setting, given.get(name, "") or setting.default, allow_private))
    }


def checked_secrets(
    declared: tuple[Setting, ...], given: Mapping[str, str], *, stored: Mapping[str, str]
) -> dict[str, str]:
    """The secrets to store: an empty one keeps what is stored. Raises SettingError."""
    known = {setting.name: setting for setting in declared if setting.secret}
    _refuse_unknown(known, given)
    return {
        name: value
        for name, setting in known.items()
        if (value := _checked(setting, given.get(name, "") or stored.get(name, ""), allow_private=False))
    }


def _refuse_unknown(known: Mapping[str, Setting], given: Mapping[str, str]) -> None:
    for name in given:
        if name not in known:
            raise SettingError(
                f"There is no setting “{name}”. The known ones are: {_list(known)}.", field=name
            )


def _list(known: Mapping[str, Setting]) -> str:
    return ", ".join(known) or "none"


def _checked(setting: Setting, value: str, allow_private: bool) -> str:
    value = value.strip()
    if not value:
        if setting.required:
            raise SettingError(f"{setting.label} is needed.", field=setting.name)
        return ""
    if len(value) > LONGEST or "\0" in value:
        raise SettingError(
            f"{setting.label} is too long or holds a character that no text has.", field=setting.name
        )
    if setting.choices and value not in setting.choices:
        raise SettingError(f"{setting.label} is one of: {', '.join(setting.choices)}.", field=setting.name)
    if setting.is_url:
        try:
            return checked_url(value, allow_private=allow_private)
        except OutgoingError as error:
            raise SettingError(error.message, field=setting.name) from None
    return value


def moved_address(
    declared: tuple[Setting, ...], before: Mapping[str, str], after: Mapping[str, str]
) -> Setting | None:
    """The first setting whose address now leads to another host."""
    for setting in declared:
        if setting.is_url and _origin(before.get(setting.name, "")) != _origin(after.get(setting.name, "")):
            return setting
    return None


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()
