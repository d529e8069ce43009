"""App configuration."""

from django.apps import AppConfig


class TrainingConfig(AppConfig):
    """Django app `training`."""

    name = "backend.training"
