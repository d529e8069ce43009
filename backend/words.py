"""Names of states and stages inside messages, in the reader's language."""

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

# What word() is given, for the catalogues.
NAMED = (
    *(_("queued"), _("running"), _("done"), _("failed"), _("cancelled")),
    *(_("leased"), _("submitted"), _("skipped"), _("released"), _("postponed"), _("expired")),
    *(_("open"), _("paused"), _("closed")),
    *(_("shape"), _("texture")),
    *(_("pretrain"), _("midtrain"), _("sft"), _("dpo"), _("distill")),
    *(_("checking"), _("stored"), _("refused"), _("in review"), _("returned"), _("approved")),
)


def word(code: str) -> str:
    """A state as the reader's language has it."""
    return gettext(code.replace("_", " "))
