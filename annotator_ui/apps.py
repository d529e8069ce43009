"""App configuration."""

from django.apps import AppConfig


class AnnotatorUiConfig(AppConfig):
    """Django app `annotator_ui`."""

    name = "annotator_ui"
