"""App configuration."""

from django.apps import AppConfig


class WorkersConfig(AppConfig):
    """Django app `workers`."""

    name = "workers"
