"""Markdown that people wrote, as HTML that cannot run anything or load anything from elsewhere.

Two walls: raw HTML is not parsed as HTML at all, and what the parser made passes a sanitiser with a short list of what
may stay. Pictures are left out: one from another server would tell it who reads which guideline.
"""

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

_TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s",
    "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_HEADINGS = {"h1": "h2", "h2": "h3", "h3": "h4", "h4": "h5", "h5": "h6", "h6": "h6"}

_parser = (
    MarkdownIt("commonmark", {"html": False, "linkify": False})
    .enable(["table", "strikethrough"])
    .disable("image")
)


def _whole_addresses(_tag: str, name: str, value: str) -> str | None:
    """A link within this site could be made to look like a button of it: only whole addresses stay."""
    return value if name != "href" or value.startswith(("https://", "http://", "mailto:")) else None


def markdown_html(text: str) -> SafeString:
    """Headings start below the page's own; links open in a tab of their own and tell nothing about this page."""
    tokens = _parser.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = _HEADINGS[token.tag]
    html = _parser.renderer.render(tokens, _parser.options, {})
    clean = nh3.clean(
        html,
        tags=_TAGS,
        attributes={"a": {"href", "title"}, "ol": {"start"}},
        attribute_filter=_whole_addresses,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
    return mark_safe(clean)  # noqa: S308 - it has just been sanitised
