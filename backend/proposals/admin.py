"""Django admin of proposals: proposers are switched and shared out here, candidates are only shown."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backend.accounts.access import record
from backend.proposals.models import Candidate, Proposer
from backend.readonly import ReadOnlyAdmin


@admin.register(Proposer)
class ProposerAdmin(admin.ModelAdmin):
    """Proposers: active or not, and their share of the N candidates."""

    list_display = ["name", "kind", "active", "share", "created_at"]
    list_editable = ["active", "share"]
    list_filter = ["kind", "active"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Candidate)
class CandidateAdmin(ReadOnlyAdmin):
    """Candidates with what made them."""

    list_display = [
        "id",
        "batch",
        "object",
        "proposer",
        "seed",
        "state",
        "score",
        "cost_seconds",
        "created_at",
    ]
    list_filter = ["state", "proposer"]
    list_select_related = ["batch", "object", "proposer"]
    actions = ["withdraw"]

    @admin.action(description=gettext_lazy("Withdraw: no new bracket shows these candidates, no later release holds them"), permissions=["view"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Candidate]) -> None:
        """Takes candidates out of brackets that are still to be claimed; what was answered stays."""
        moved = queryset.filter(state=Candidate.State.READY).update(state=Candidate.State.WITHDRAWN)
        record(request.user, "withdraw", "candidates", count=moved)
        self.message_user(request, _("%(moved)s candidates withdrawn") % {"moved": moved})
