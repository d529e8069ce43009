"""Django admin of people: roles are given here; tokens can be withdrawn; the audit trail is only shown."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest

from backend.accounts.models import AuditEvent, Token, User
from backend.readonly import ReadOnlyAdmin


@admin.register(User)
class PersonAdmin(UserAdmin):
    """People and their roles."""

    list_display = ["username", "role", "simulated", "is_active", "last_login"]
    list_filter = ["role", "simulated", "is_active"]
    fieldsets = [*(UserAdmin.fieldsets or []), ("Maquette", {"fields": ["role", "simulated"]})]
    add_fieldsets = [*UserAdmin.add_fieldsets, ("Maquette", {"fields": ["role"]})]


@admin.register(Token)
class TokenAdmin(admin.ModelAdmin):
    """Tokens: shown by owner and name, never by value; deleting one ends it."""

    list_display = ["user", "name", "created_at", "expires_at"]
    list_select_related = ["user"]
    fields = ["user", "name", "expires_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """Who did what, newest first."""

    list_display = ["at", "user", "verb", "subject"]
    list_filter = ["verb"]
    list_select_related = ["user"]
    ordering = ["-at"]
