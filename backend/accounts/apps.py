"""App configuration."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Django app `accounts`."""

    name = "backend.accounts"
