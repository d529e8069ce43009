"""App configuration."""

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """Django app `catalog`."""

    name = "backend.catalog"
