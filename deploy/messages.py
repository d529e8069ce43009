"""Catalogues of the languages: `python -m deploy.messages` collects every marked string, keeps the translations, compiles.

English is the key of every string. What has no translation yet stays empty in the .po file, and a test fails on it.
"""

import argparse
import io
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

PROJECT = Path(__file__).resolve().parent.parent
LANGUAGES = ("ko",)
PYTHON = {"_": None, "gettext": None, "gettext_noop": None, "gettext_lazy": None}
SCRIPT = {"t": None, "w": None}
TAG = re.compile(r"""\{%\s*translate\s+(?:"([^"]+)"|'([^']+)')""")
BLOCK = re.compile(r"\{%\s*blocktranslate\b[^%]*%\}(.*?)\{%\s*endblocktranslate\s*%\}", re.DOTALL)
SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)  # babel writes a date into every file
PLACEHOLDER = re.compile(r"%\(\w+\)s|\{\w+\}")


@dataclass(frozen=True)
class Domain:
    """One catalogue: the app that keeps it, its name, and the files whose strings it holds (glob patterns)."""

    app: str
    name: str
    sources: tuple[str, ...]

    def path(self, language: str) -> Path:
        """The .po file of a language; the .mo file lies beside it."""
        return PROJECT / self.app / "locale" / language / "LC_MESSAGES" / f"{self.name}.po"


DOMAINS = (
    Domain("backend", "django", ("backend/**/*.py", "workers/**/*.py")),
    Domain("annotator_ui", "django", ("annotator_ui/*.py", "annotator_ui/templates/**/*.html")),
    Domain("annotator_ui", "djangojs", ("annotator_ui/static/**/*.js",)),
)


def strings(domain: Domain) -> list[str]:
    """The marked strings of a domain, each once, in the order of their files."""
    found: dict[str, None] = {}
    for path in sorted({path for pattern in domain.sources for path in PROJECT.glob(pattern)}):
        found |= dict.fromkeys(_of_file(path))
    return list(found)


def _of_file(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        yield from (double or single for double, single in TAG.findall(text))
        yield from (re.sub(r"\{\{\s*(\w+)\s*\}\}", r"%(\1)s", block) for block in BLOCK.findall(text))
        return
    method, keywords = ("python", PYTHON) if path.suffix == ".py" else ("javascript", SCRIPT)
    for _, message, _, _ in extract(method, io.BytesIO(text.encode()), keywords=keywords):
        yield message if isinstance(message, str) else message[0]


def collected(domain: Domain, language: str) -> Catalog:
    """The catalogue as it should be: today's strings with the translations there are."""
    path, catalog = domain.path(language), Catalog(locale=language, fuzzy=False)
    known = read_po(io.BytesIO(path.read_bytes()), locale=language) if path.exists() else catalog
    for text in strings(domain):
        message = known.get(text)
        catalog.add(text, message.string if message and not message.fuzzy else "")
    return catalog


def as_po(catalog: Catalog) -> bytes:
    """The catalogue's .po file, without dates, so that the same strings give the same bytes."""
    out = io.BytesIO()
    write_po(out, catalog, omit_header=True, width=0, no_location=True)
    header = f'msgid ""\nmsgstr ""\n"Language: {catalog.locale}\\n"\n"Content-Type: text/plain; charset=utf-8\\n"\n'
    header += '"Plural-Forms: nplurals=1; plural=0;\\n"\n\n'
    return header.encode() + out.getvalue()


def as_mo(catalog: Catalog) -> bytes:
    """The compiled catalogue that Django reads."""
    out = io.BytesIO()
    compiled = read_po(io.BytesIO(as_po(catalog)), locale=catalog.locale)
    compiled.creation_date = compiled.revision_date = SOME_DAY
    write_mo(out, compiled)
    return out.getvalue()


def faults(domain: Domain, language: str) -> list[str]:
    """What is wrong with a catalogue: untranslated strings, other placeholders than in English, stale files."""
    catalog, path = collected(domain, language), domain.path(language)
    wrong = []
    for message in catalog:
        english, other = str(message.id), str(message.string or "")
        if not english:
            continue
        if not other:
            wrong.append(f"{english!r} has no translation")
        elif sorted(PLACEHOLDER.findall(english)) != sorted(PLACEHOLDER.findall(other)):
            wrong.append(f"{english!r} has other placeholders in its translation")
    if not wrong and path.read_bytes() != as_po(catalog):
        wrong.append("the .po file holds strings that are no longer used: run python -m deploy.messages")
    if not wrong and path.with_suffix(".mo").read_bytes() != as_mo(catalog):
        wrong.append("the .mo file is older than the .po file: run python -m deploy.messages")
    return [f"{domain.app}/{domain.name} {language}: {line}" for line in wrong]


def main() -> int:
    """Write the .po and .mo files; exit code 1 while a translation is missing."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    missing = []
    for domain in DOMAINS:
        for language in LANGUAGES:
            catalog, path = collected(domain, language), domain.path(language)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(as_po(catalog))
            path.with_suffix(".mo").write_bytes(as_mo(catalog))
            missing += faults(domain, language)
    print("\n".join(missing) or "all catalogues are complete")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
