"""App configuration."""

from django.apps import AppConfig


class DatasetsConfig(AppConfig):
    """Django app `datasets`."""

    name = "backend.datasets"
