"""Markdown of instructions as HTML that cannot do harm: no HTML of its own, links to the web, pictures of this site."""

import re
from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

LINK = re.compile(r"https?://[^\s]+", re.IGNORECASE)
# Photos, thumbnails and their like; no percent signs, no dots that climb.
PICTURE = re.compile(r"/api/v1/(?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-]+(?:\.[A-Za-z0-9]+)?/?")


def render(text: str) -> str:
    """HTML of Markdown. Raw HTML is shown as text; what is no web link or own picture keeps its words only."""
    return str(_markdown().render(text))


def _markdown() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    made.add_render_rule("link_open", _link_open)
    made.add_render_rule("image", _image)
    return made


def _link_open(renderer: Any, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    address = str(tokens[at].attrGet("href") or "")
    kept = {"href": address, "rel": "noopener noreferrer", "target": "_blank"} if LINK.fullmatch(address) else {}
    tokens[at].attrs = dict(kept)
    return str(renderer.renderToken(tokens, at, options, env))


def _image(renderer: Any, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    token = tokens[at]
    address = str(token.attrGet("src") or "")
    words = renderer.renderInlineAsText(token.children or [], options, env)
    if not PICTURE.fullmatch(address):
        return f"<em>{_escaped(words)}</em>"
    return f'<img src="{address}" alt="{_escaped(words)}" loading="lazy">'


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
