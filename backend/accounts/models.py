"""People, their roles and tokens, and the append-only audit trail."""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone


class User(AbstractUser):
    """A person (or a simulated annotator) with one role; an admin may do everything."""

    class Role(models.TextChoices):
        ANNOTATOR = "annotator"
        ARTIST = "artist"
        REVIEWER = "reviewer"
        RESEARCHER = "researcher"
        ADMIN = "admin"

    role = models.CharField(max_length=12, choices=Role.choices, default=Role.ANNOTATOR)
    simulated = models.BooleanField(
        default=False, help_text="answers of this account are a simulation's, not a person's"
    )
    preferences = models.JSONField(
        default=dict, blank=True, help_text="language, theme and own keys, as PATCH /me/ checks them"
    )


class Token(models.Model):
    """API token, stored as a hash; it ends by itself."""

    sha256 = models.CharField(primary_key=True, max_length=64)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=80, blank=True)
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    @classmethod
    def issue(cls, user: User, *, days: int = 30, name: str = "") -> tuple[str, datetime]:
        """Make a token; the plain text is returned once and never stored."""
        plain = secrets.token_urlsafe(32)
        expires = timezone.now() + timedelta(days=days)
        cls.objects.create(sha256=cls.digest(plain), user=user, name=name, expires_at=expires)
        return plain, expires

    @staticmethod
    def digest(plain: str) -> str:
        """Hash under which a token is stored."""
        return hashlib.sha256(plain.encode()).hexdigest()


class AuditEvent(models.Model):
    """Who did what to which row, when. Only ever inserted."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    verb = models.CharField(max_length=30)
    subject = models.CharField(max_length=60)
    detail = models.JSONField(default=dict)
    at = models.DateTimeField(default=timezone.now, db_index=True)
