#!/usr/bin/env python
"""Django's command line. Starts or finds the embedded PostgreSQL and Redis when the environment names no servers."""

import os
import sys

from deploy import embedded

NEEDS_NO_SERVICES = {"help", "version", "collectstatic", "spectacular", "startapp", "compilemessages"}


def needs_services(arguments: list[str]) -> bool:
    """Whether this command talks to the database or the broker; help and static files do not."""
    if len(arguments) < 2 or arguments[1] in NEEDS_NO_SERVICES or arguments[1].startswith("-"):
        return False
    return not {"-h", "--help"} & set(arguments)


def main() -> int:
    """Run one command. A CommandError already ends as one line and exit code 1."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")
    try:
        if needs_services(sys.argv):
            embedded.ensure()
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
    except embedded.ServicesError as error:
        return fail(error)
    except ImportError as error:
        return fail(f"{error}: run `make setup`, then use .venv/bin/python")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        return fail(error)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


def fail(why: object) -> int:
    """One line that a person can act on."""
    print(f"Error: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
