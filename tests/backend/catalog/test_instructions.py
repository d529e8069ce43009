"""Instructions as people read them: version by version, and no Markdown can do harm."""

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from backend.catalog import services
from backend.catalog.markdown import render

Api = Callable[..., Any]


def test_markdown_becomes_headings_lists_links_and_own_pictures() -> None:
    html = render("# Shape\n\n- *handle*\n- [more](https://example.org/a?b=1)\n\n![a mug](/api/v1/images/7/photo/)")
    assert "<h1>Shape</h1>" in html and "<em>handle</em>" in html
    assert '<a href="https://example.org/a?b=1" rel="noopener noreferrer" target="_blank">more</a>' in html
    assert '<img src="/api/v1/images/7/photo/" alt="a mug" loading="lazy">' in html


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](vbscript:x)",
        "[x](//evil.example/)",
        "[x](/api/v1/token/)",
        "<javascript:alert(1)>",
        "[x]: javascript:alert(1)\n\n[x]",
        "![x](https://evil.example/pixel.png)",
        "![x](//evil.example/pixel.png)",
        "![x](data:image/svg+xml;base64,PHN2Zz4=)",
        "![x](/api/v1/../../admin/)",
        "![x](/api/v1/..%2f..%2fadmin/)",
        "![x](/logout/)",
        '![" onerror="alert(1)](/api/v1/images/1/photo/)',
        '![x](/api/v1/images/1/photo/ "t\\" onload=\\"alert(1)")',
        '[x](https://example.org/"onclick="alert(1))',
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "```html\n<script>alert(1)</script>\n```",
        '``` "><script>alert(1)</script>\nx\n```',
        "<svg/onload=alert(1)>",
        "[<img src=x onerror=alert(1)>](https://example.org)",
    ],
)
def test_hostile_markdown_gives_harmless_html(hostile: str) -> None:
    html = render(hostile)
    tags = re.findall(r"<[^>]*>", html)
    plain = re.compile(
        r"</?(?:p|em|strong|code|pre|h[1-6]|ul|ol|li|hr|br|blockquote|table|thead|tbody|tr|th|td|s|a)>|<br ?/>"
        r'|<code class="language-[^"<>]*">|<pre><code>'
        r'|<a href="https?://[^"<>\s]*" rel="noopener noreferrer" target="_blank">'
        r'|<img src="/api/v1/[A-Za-z0-9_/.-]*" alt="[^"<>]*" loading="lazy">'
    )
    assert [tag for tag in tags if not plain.fullmatch(tag)] == []
    assert "<script" not in html and ".." not in "".join(tags)


@pytest.mark.django_db
def test_every_version_stays_readable_and_never_changes(people: SimpleNamespace, api: Api) -> None:
    batch = services.create_batch(name="mugs", instructions="Look at the *shape*.", by=people.leo)
    services.write_instructions(batch, "Look at the handle.", by=people.leo)
    address = f"/api/v1/batches/{batch.pk}/instructions/"
    client = api(people.ada)
    assert (client.get(address).json()["version"], client.get(address).json()["html"]) == (2, "<p>Look at the handle.</p>\n")
    first = client.get(f"{address}?version=1")
    assert first.json()["text"] == "Look at the *shape*." and "immutable" in first["Cache-Control"]
    assert [client.get(f"{address}?version={wrong}").status_code for wrong in ("9", "x", "-1")] == [404, 400, 400]


@pytest.mark.django_db
def test_a_batch_without_instructions_says_so(people: SimpleNamespace, api: Api) -> None:
    batch = services.create_batch(name="mugs")
    assert api(people.ada).get(f"/api/v1/batches/{batch.pk}/instructions/").json()["version"] == 0
    assert api(people.ada).get("/api/v1/batches/999999/instructions/").status_code == 404
