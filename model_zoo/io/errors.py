"""The one exception for bad user input, and the escaping of user text in messages."""

import unicodedata

MESSAGE_CHARACTERS = 500


def safe_text(value: object, limit: int = 80) -> str:
    """Printable one-line form of a user's text: control, format and bidi characters escaped, cut to `limit`."""
    text = str(value)
    shown = "".join(_escape(c) for c in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _escape(character: str) -> str:
    if character == " " or unicodedata.category(character)[0] not in "CZ":
        return character
    return (
        character.encode("unicode_escape").decode("ascii")
        if ord(character) > 126 or ord(character) < 32
        else "\\x7f"
    )


class BadInput(ValueError):
    """Input that a person has to correct. The message is one line for that person; `code` is a short slug."""

    def __init__(self, message: str, code: str = "bad_input") -> None:
        self.message = safe_text(message, MESSAGE_CHARACTERS)
        self.code = code
        super().__init__(self.message)
