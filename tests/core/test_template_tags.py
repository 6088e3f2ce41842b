"""The tags of every page: what people read, and that no user text becomes markup."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django import forms
from django.conf import settings as django_settings
from django.template import Context, Template, TemplateSyntaxError
from django.utils import timezone

from apps.core.formatting import format_time_ago
from apps.core.icons import IconMissingError
from apps.core.pagination import KeysetPage
from apps.core.tones import state_tone

NARROW, NBSP, MINUS = "\u202f", "\u00a0", "\u2212"
HOSTILE = '<script>alert("x")</script>'


def render(source: str, **context: Any) -> str:
    return Template("{% load ui %}" + source).render(Context(context))


class Elements(HTMLParser):
    """Every element with its attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def one(self, tag: str) -> dict[str, str | None]:
        found = self.all(tag)
        assert len(found) == 1, f"{len(found)} <{tag}>"
        return found[0]


# --- Figures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "value", "expected"),
    [
        ("{{ value|percent }}", 0.84, f"84.0{NBSP}%"),
        ("{{ value|percent:0 }}", 1, f"100{NBSP}%"),
        ("{{ value|percent:2 }}", Decimal("0.12345"), f"12.35{NBSP}%"),
        ("{{ value|points }}", 0.072, "+7.2"),
        ("{{ value|points }}", -0.004, f"{MINUS}0.4"),
        ("{{ value|points }}", -0.0001, "0.0"),
        ("{{ value|number }}", 1234567, f"1{NARROW}234{NARROW}567"),
        ("{{ value|number }}", 0, "0"),
        ("{{ value|number }}", 0.5, "0.5"),
        ("{{ value|number:2 }}", Decimal("1234.5"), f"1{NARROW}234.50"),
        ("{{ value|number }}", -3, f"{MINUS}3"),
        ("{{ value|bytes }}", 1, f"1{NBSP}byte"),
        ("{{ value|bytes }}", 999, f"999{NBSP}bytes"),
        ("{{ value|bytes }}", 1_500_000, f"1.5{NBSP}MB"),
        ("{{ value|bytes }}", 734_003_200, f"734{NBSP}MB"),
        ("{{ value|duration }}", 72, f"1{NBSP}min 12{NBSP}s"),
        ("{{ value|duration }}", 0, f"0{NBSP}s"),
        ("{{ value|duration }}", 0.42, f"420{NBSP}ms"),
        ("{{ value|duration }}", 2.5, f"2.5{NBSP}s"),
        ("{{ value|duration }}", 59.7, f"1{NBSP}min"),
        ("{{ value|duration }}", 3599.8, f"1{NBSP}h"),
        ("{{ value|duration }}", 7384, f"2{NBSP}h 3{NBSP}min"),
        ("{{ value|duration }}", timedelta(days=3, hours=5, minutes=29), f"3{NBSP}d 5{NBSP}h"),
        ("{{ value|short_hash }}", "9f86d081884c7d659a2feaa0c55ad015", "9f86d081884c"),
        ("{{ value|short_id }}", 42, "42"),
        ("{{ value|unknown }}", 0, "0"),
    ],
)
def test_figures_read_as_people_write_them(source: str, value: object, expected: str) -> None:
    assert render(source, value=value) == expected


@pytest.mark.parametrize(
    "name", ["percent", "points", "number", "bytes", "duration", "short_id", "short_hash", "unknown"]
)
def test_a_missing_figure_is_unknown_and_never_zero(name: str) -> None:
    html = render("{{ value|" + name + " }}", value=None)
    assert Elements(html).text == "unknown"
    assert Elements(html).one("span") == {"class": "text-unknown"}


NOW = datetime(2026, 5, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (timedelta(seconds=3), "just now"),
        (timedelta(seconds=50), f"1{NBSP}min ago"),
        (timedelta(minutes=59), f"59{NBSP}min ago"),
        (timedelta(minutes=59, seconds=45), f"1{NBSP}h ago"),
        (timedelta(hours=5), f"5{NBSP}h ago"),
        (timedelta(days=1), f"1{NBSP}day ago"),
        (timedelta(days=27), f"27{NBSP}days ago"),
        (timedelta(days=40), f"10{NBSP}Apr"),
        (timedelta(days=400), f"15{NBSP}Apr{NBSP}2025"),
        (-timedelta(hours=2), f"in 2{NBSP}h"),
    ],
)
def test_times_are_relative_until_a_date_says_more(age: timedelta, expected: str) -> None:
    assert format_time_ago(NOW - age, NOW) == expected


def test_the_exact_time_is_on_hover_and_for_programs() -> None:
    then = timezone.now() - timedelta(hours=2)
    html = Elements(render("{% time_ago then %}", then=then))
    attributes = html.one("time")
    assert datetime.fromisoformat(str(attributes["datetime"])) == then.replace(microsecond=0)
    assert then.strftime("%H:%M:%S UTC") in str(attributes["title"])
    assert html.text == f"2{NBSP}h ago"


# --- Icons and states -----------------------------------------------------------------------------------------------


def test_an_icon_is_silent_beside_text_and_speaks_alone() -> None:
    assert Elements(render('{% icon "database" %}')).one("svg")["aria-hidden"] == "true"
    alone = Elements(render('{% icon "database" label="Data" %}')).one("svg")
    assert (alone["role"], alone["aria-label"]) == ("img", "Data")
    assert "aria-hidden" not in alone


@pytest.mark.parametrize("name", ["no-such-icon", "../../../package", "Database", ""])
def test_an_icon_that_the_set_lacks_is_an_error_while_developing(name: str) -> None:
    with pytest.raises(IconMissingError):
        render("{% icon name %}", name=name)


def test_a_running_dashboard_leaves_a_missing_icon_out(settings) -> None:
    settings.FTPORTAL_STRICT_ICONS = False
    assert render('a{% icon "no-such-icon" %}b') == "ab"


def test_every_icon_named_in_the_templates_exists() -> None:
    named = re.compile(r"\{% icon \"([^\"]+)\"")
    root = Path(django_settings.BASE_DIR) / "templates"
    names = {name for file in root.rglob("*.html") for name in named.findall(file.read_text())}
    assert "copy" in names
    for name in sorted(names):
        render("{% icon name %}", name=name)


@pytest.mark.parametrize(
    ("state", "tone"),
    [
        ("running", "working"),
        ("succeeded", "done"),
        ("failed", "failed"),
        ("queued", "neutral"),
        ("whatever", "neutral"),
    ],
)
def test_a_state_has_a_tone_and_always_its_word(state: str, tone: str) -> None:
    assert state_tone(state) == tone
    html = Elements(render("{% status_badge state %}", state=state))
    assert f"state-{tone}" in str(html.all("span")[0]["class"])
    assert html.text.strip() == state.capitalize()


# --- Parts ----------------------------------------------------------------------------------------------------------


def test_progress_says_its_share_to_screen_readers() -> None:
    bar = Elements(render('{% progress 25 200 label="Import" %}')).all("div")[0]
    assert (bar["role"], bar["aria-valuenow"], bar["aria-label"]) == ("progressbar", "12", "Import")
    unknown = Elements(render("{% progress 25 None %}")).all("div")[0]
    assert "aria-valuenow" not in unknown
    assert "bar-indeterminate" in str(unknown["class"])


def operation(**changes: Any) -> SimpleNamespace:
    fields: dict[str, Any] = {
        "title": "Check rows", "state": "running", "is_active": True, "done": 10, "total": 40, "share": 0.25,
        "unit": "rows", "message": "", "error": "", "rate": 5.0, "seconds_left": 6.0, "seconds": 2.0, "url": "",
        "cancel_requested_at": None, "get_state_display": "Running",
    }  # fmt: skip
    return SimpleNamespace(**{**fields, **changes})


def test_running_work_shows_how_far_how_fast_and_how_long_and_can_be_cancelled() -> None:
    source = '{% operation_progress operation cancel_url="/stop/" %}'
    html = Elements(render(source, operation=operation(), csrf_token="t0k3n"))  # noqa: S106
    for words in ("10 of 40 rows", f"25{NBSP}%", "5.0 rows/s", f"about 6{NBSP}s left"):
        assert words in html.text
    assert html.one("form") == {"class": "operation-cancel", "method": "post", "action": "/stop/"}
    assert html.one("input")["value"] == "t0k3n"


def test_work_whose_cancel_was_asked_for_offers_none_again() -> None:
    asked = operation(cancel_requested_at=timezone.now())
    html = Elements(render('{% operation_progress operation cancel_url="/stop/" %}', operation=asked))
    assert not html.all("form")
    assert "Cancelling" in html.text


def test_failed_work_shows_its_reason_as_text() -> None:
    failed = operation(state="failed", is_active=False, error=HOSTILE, get_state_display="Failed")
    html = Elements(render("{% operation_progress operation %}", operation=failed))
    assert not html.all("script")
    assert HOSTILE in html.text
    assert "progressbar" not in [attributes.get("role") for attributes in html.all("div")]


def test_the_pager_keeps_the_filters_in_its_links() -> None:
    page: KeysetPage[Any] = KeysetPage(rows=[], after=50, before=None, query="state=done&q=a%26b")
    html = Elements(render("{% pager page %}", page=page))
    assert html.one("a")["href"] == "?state=done&q=a%26b&after=50"
    assert render("{% pager page %}", page=KeysetPage[Any](rows=[], after=None, before=None)).strip() == ""


def test_a_destructive_action_asks_and_is_protected() -> None:
    source = (
        '{% confirm_dialog id="d" title="Delete it?" action_url="/delete/" verb="Delete" %}'
        "<p>{{ lost }} rows are lost.</p>{% endconfirm_dialog %}"
    )
    html = Elements(render(source, lost=HOSTILE, csrf_token="t0k3n"))  # noqa: S106
    assert html.one("dialog")["aria-labelledby"] == "d-title"
    assert (html.one("form")["method"], html.one("form")["action"]) == ("post", "/delete/")
    assert html.one("input")["value"] == "t0k3n"
    assert not html.all("script")
    keep = html.all("button")[0]
    assert (keep["type"], "autofocus" in keep) == ("button", True)


def test_a_conversation_is_text_whatever_a_row_holds() -> None:
    messages = [
        {"role": "user", "content": HOSTILE},
        {"role": '"><img src=x>', "content": "a\n b"},
        {"role": "assistant", "content": None, "tool_calls": [{"name": HOSTILE}]},
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
        {"content": {"odd": [1]}},
    ]
    html = Elements(render("{% chat_messages messages %}", messages=messages))
    assert not html.all("script")
    assert not html.all("img")
    assert len(html.all("li")) == 5
    assert HOSTILE in html.text
    assert "a\n b" in html.text
    assert "no content" in html.text
    assert "one\ntwo" in html.text
    assert '"odd"' in html.text


def test_the_words_that_differ_are_marked_on_each_side() -> None:
    before, after = "The cat <b>sat</b> down.", "The cat <b>lay</b> down."
    old = Elements(render('{% word_difference a b side="before" %}', a=before, b=after))
    new = Elements(render("{% word_difference a b %}", a=before, b=after))
    assert (old.text.rstrip(), new.text.rstrip()) == (before, after)
    assert (len(old.all("del")), len(new.all("ins")), len(old.all("b"))) == (1, 1, 0)
    with pytest.raises(TemplateSyntaxError):
        render('{% word_difference a b side="left" %}', a=before, b=after)


def test_whiskers_stand_on_their_scale_and_say_the_same_in_words() -> None:
    html = Elements(render('{% whiskers 0.6 0.75 1.2 minimum=0.5 maximum=1 text="75 %, 60 to 120 %" %}'))
    assert html.one("svg")["aria-label"] == "75 %, 60 to 120 %"
    assert html.one("circle")["cx"] == "50.00%"
    interval = next(line for line in html.all("line") if line["class"] == "whiskers-interval")
    assert (interval["x1"], interval["x2"]) == ("20.00%", "100.00%")
    assert len([line for line in html.all("line") if line["class"] == "whiskers-end"]) == 1
    assert "unknown" in render("{% whiskers None 0.5 0.6 %}")


def test_the_runs_of_a_loss_chart_are_data_and_not_script() -> None:
    html = Elements(render("{% loss_chart runs %}", runs=[{"name": HOSTILE, "url": "/metrics/"}]))
    assert not html.all("script")
    assert HOSTILE.replace('"', '\\"') in str(html.one("section")["data-runs"])


# --- Forms ----------------------------------------------------------------------------------------------------------


class SampleForm(forms.Form):
    name = forms.CharField(help_text="Short and telling.")
    rate = forms.FloatField(required=False)
    method = forms.ChoiceField(choices=[("a", "A"), ("b", HOSTILE)], widget=forms.RadioSelect)
    sure = forms.BooleanField(required=False)
    token = forms.CharField(widget=forms.HiddenInput, required=False)


def test_a_field_is_tied_to_its_label_help_and_errors() -> None:
    form = SampleForm({"rate": "fast", "method": "a"})
    html = Elements(render("{% field form.name %}", form=form))
    control = html.one("input")
    assert html.one("label")["for"] == control["id"] == "id_name"
    assert control["aria-invalid"] == "true"
    assert str(control["aria-describedby"]).split() == ["id_name_helptext", "id_name_error"]
    ids = [attributes.get("id") for attributes in html.all("div")]
    assert "id_name_helptext" in ids
    assert "id_name_error" in ids
    assert "form-control" in str(control["class"])


def test_choices_are_a_group_with_a_legend() -> None:
    html = Elements(render("{% field form.method %}", form=SampleForm()))
    assert len(html.all("fieldset")) == len(html.all("legend")) == 1
    assert [choice["class"] for choice in html.all("input")] == ["form-check-input", "form-check-input"]
    assert not html.all("script")


def test_a_form_says_first_that_nothing_was_saved() -> None:
    html = Elements(render("{% form_fields form %}", form=SampleForm({"rate": "fast", "method": "a"})))
    assert "Nothing was saved yet: 2 problems to mend." in html.text
    assert "alert" in [attributes.get("role") for attributes in html.all("div")]
    assert len(html.all("input")) == 6
    assert "Nothing was saved" not in render("{% form_fields form %}", form=SampleForm())


def test_a_unit_stands_beside_its_field() -> None:
    html = render('{% field form.rate suffix="rows/s" %}', form=SampleForm())
    assert "rows/s" in Elements(html).text
    assert "optional" in Elements(html).text
