"""A person at a browser without JavaScript: reads pages, fills in the forms that are there, presses their buttons."""

import html
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import httpx

Files = dict[str, tuple[str, bytes]]


@dataclass
class Form:
    """A form as the page shows it: what it would send if its button were pressed now."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[str] = field(default_factory=list)
    file_field: str = ""

    def values(self, changes: dict[str, Any]) -> dict[str, list[str]]:
        """Its fields with `changes` written over them; None takes a field out."""
        sent: dict[str, list[str]] = {}
        for name, value in self.fields:
            sent.setdefault(name, []).append(value)
        for name, value in changes.items():
            if value is None:
                sent.pop(name, None)
            else:
                sent[name] = [str(each) for each in value] if isinstance(value, list) else [str(value)]
        return sent


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._select: str | None = None
        self._chosen: str | None = None
        self._first: str | None = None
        self._text: list[str] | None = None
        self._text_name = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "form":
            self._form = Form(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._form)
        elif self._form is None:
            return
        elif tag == "input":
            self._input(self._form, given)
        elif tag == "select":
            self._select, self._chosen, self._first = given.get("name", ""), None, None
        elif tag == "option" and self._select is not None:
            self._first = given.get("value", "") if self._first is None else self._first
            if "selected" in given:
                self._chosen = given.get("value", "")
        elif tag in ("textarea", "button"):
            self._text, self._text_name = [], given.get("name", "")
            if tag == "button" and given.get("type", "submit") != "submit":
                self._text = None

    def _input(self, form: Form, given: dict[str, str]) -> None:
        kind, name = given.get("type", "text"), given.get("name", "")
        if kind == "file":
            form.file_field = name
        elif kind in ("checkbox", "radio"):
            if "checked" in given:
                form.fields.append((name, given.get("value", "on")))
        elif name and kind not in ("submit", "button"):
            form.fields.append((name, given.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if self._form is None:
            return
        if tag == "form":
            self._form = None
        elif tag == "select" and self._select is not None:
            value = self._chosen if self._chosen is not None else self._first
            if self._select and value is not None:
                self._form.fields.append((self._select, value))
            self._select = None
        elif tag == "textarea" and self._text is not None:
            self._form.fields.append((self._text_name, "".join(self._text).removeprefix("\n")))
            self._text = None
        elif tag == "button" and self._text is not None:
            self._form.buttons.append(" ".join("".join(self._text).split()))
            self._text = None

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)


@dataclass(frozen=True)
class Page:
    """What came back from the server."""

    response: httpx.Response

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def path(self) -> str:
        return self.response.url.path

    @property
    def html(self) -> str:
        return self.response.text

    @property
    def text(self) -> str:
        """What one reads, in one line."""
        body = re.sub(r"(?s)<(script|style|template|head)\b.*?</\1>", " ", self.html)
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())

    @property
    def forms(self) -> list[Form]:
        parser = _Forms()
        parser.feed(self.html)
        return parser.forms

    def form(self, button: str) -> Form:
        """The one form that has this button."""
        found = [form for form in self.forms if any(button in label for label in form.buttons)]
        shown = [label for form in self.forms for label in form.buttons]
        assert len(found) == 1, f"{len(found)} forms with the button {button!r} on {self.path}: {shown}"
        return found[0]

    def link(self, text: str) -> str:
        """Where the first link with these words leads."""
        for address, label in re.findall(r'(?s)<a\b[^>]*?href="([^"]*)"[^>]*>(.*?)</a>', self.html):
            if text in " ".join(html.unescape(re.sub(r"<[^>]+>", " ", label)).split()):
                return html.unescape(address)
        raise AssertionError(f"no link {text!r} on {self.path}: {self.text[:500]}")


class Visitor:
    """One browser's worth of cookies."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, follow_redirects=True, timeout=60)
        self._url = url

    def sign_in(self, email: str, password: str) -> Page:
        return self.submit(self.get("/sign-in/"), "Sign in", username=email, password=password)

    def get(self, path: str, **parameters: str) -> Page:
        return Page(self._client.get(path, params=parameters or None))

    def post(self, path: str, data: dict[str, Any] | None = None, files: Files | None = None) -> Page:
        token = self._client.cookies.get("csrftoken") or ""
        headers = {"X-CSRFToken": token, "Referer": self._url}
        return Page(self._client.post(path, data=data or {}, files=files, headers=headers))

    def submit(self, page: Page, button: str, *, files: Files | None = None, **changes: Any) -> Page:
        """Fill in the form with this button, and press it."""
        form = page.form(button)
        return self.send(page, form, files=files, **changes)

    def send(self, page: Page, form: Form, *, files: Files | None = None, **changes: Any) -> Page:
        assert form.method == "post", f"the form of {page.path} is sent with {form.method}"
        address = urljoin(str(page.response.url), form.action)
        return self.post(address, form.values(changes), files)

    def close(self) -> None:
        self._client.close()
