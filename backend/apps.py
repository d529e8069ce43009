"""App configuration of the project itself (shared rows: blobs, uploads, jobs)."""

from django.apps import AppConfig


class BackendConfig(AppConfig):
    """The project's own app; its label is `backend`."""

    name = "backend"
    label = "backend"
