"""App configuration."""

from django.apps import AppConfig


class Art3doConfig(AppConfig):
    """Django app `art3do`."""

    name = "backend.art3do"
