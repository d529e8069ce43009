"""App configuration."""

from django.apps import AppConfig


class AnnotationConfig(AppConfig):
    """Django app `annotation`."""

    name = "backend.annotation"
