"""What the supervisor prints: a line per step, and a frame with address and logins."""

import json
import sys
import time
from pathlib import Path


class Step:
    """One line: what is being done, and how long it took."""

    def __init__(self, title: str) -> None:
        self.title = title

    def __enter__(self) -> None:
        self.began = time.monotonic()
        print(f"  {self.title:<28}", end="", flush=True)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        print(f"{time.monotonic() - self.began:.1f} s" if kind is None else "failed", flush=True)


def show_box(url: str, home: Path) -> None:
    """Address and logins in a frame."""
    try:
        logins = json.loads((home / "logins.json").read_text())
    except (OSError, ValueError):
        logins = []
    rows = [f"Maquette runs at {url}"]
    if logins:
        rows.append("")
        width = max(len(login["username"]) for login in logins)
        rows += [f"{login['username']:<{width}}  {login['password']}  {login['role']}" for login in logins]
    rows += ["", "Ctrl-C stops everything; the data stays"]
    wide = max(map(len, rows))
    print(
        "\n".join(
            [
                "",
                f"+{'-' * (wide + 4)}+",
                *(f"|  {row:<{wide}}  |" for row in rows),
                f"+{'-' * (wide + 4)}+",
                "",
            ]
        )
    )
    sys.stdout.flush()
