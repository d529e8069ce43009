"""App configuration."""

from django.apps import AppConfig


class ProposalsConfig(AppConfig):
    """Django app `proposals`."""

    name = "backend.proposals"
