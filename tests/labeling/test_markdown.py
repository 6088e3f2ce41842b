"""Guidelines are written by some and read by others: nothing in them may run, load, or leave the page's frame.

The payloads are of the classes behind CVE-2023-47115, CVE-2024-26152, CVE-2025-25296, CVE-2025-47783 (script in a
text that others are shown), CVE-2026-22033 and CVE-2026-65986 (script by way of a guide and what it links to).
"""

from html.parser import HTMLParser

import pytest

from apps.labeling.markdown import markdown_html

PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](java\tscript:alert(1))",
    "[click](&#106;avascript:alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[click](vbscript:msgbox(1))",
    "<a href='javascript:alert(1)'>x</a>",
    "[x]: javascript:alert(1)\n\n[x]",
    "<javascript:alert(1)>",
    "![x](https://example.org/who-reads-this.png)",
    '![x](x "onerror=alert(1)")',
    '[a](https://example.org/"onmouseover="alert(1))',
    '[a](https://example.org "\\" onmouseover=alert(1) x=\\"")',
    "<iframe src=https://example.org></iframe>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "```html\n<script>alert(1)</script>\n```",
    "`<script>alert(1)</script>`",
    "| <b onclick=alert(1)>x</b> |\n| --- |\n| <script>alert(1)</script> |",
    "<style>*{background:url(https://example.org/x)}</style>",
    "<form action=https://example.org><input name=password></form>",
    "<base href=https://example.org>",
    "<meta http-equiv=refresh content='0;url=https://example.org'>",
    "# <script>alert(1)</script>",
    "\x00<script>alert(1)</script>",
]
HARMLESS = {
    "a", "blockquote", "br", "code", "del", "em", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s",
    "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip


class Found(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_text_becomes_anything_but_harmless_marks(payload):
    found = Found()
    found.feed(markdown_html(payload))

    for tag, attributes in found.tags:
        assert tag in HARMLESS
        assert set(attributes) <= {"href", "title", "rel", "target", "start"}
        address = attributes.get("href")
        assert address is None or address.startswith(("https://", "http://", "mailto:"))


def test_what_people_need_stays():
    html = markdown_html(
        "# Refunds\n\n**bold** and *thin*, `code`\n\n1. one\n2. two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
        "[rules](https://example.org/rules)"
    )

    for part in (
        "<h2>Refunds</h2>",
        "<strong>bold</strong>",
        "<em>thin</em>",
        "<code>code</code>",
        "<ol>",
        "<td>1</td>",
    ):
        assert part in html
    assert 'href="https://example.org/rules"' in html
    assert "noopener" in html
