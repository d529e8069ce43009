"""What a person may set for oneself: language, theme, motion and own keys. Strict: what is not known is refused."""

import re
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from rest_framework import serializers

THEMES = ("system", "light", "dark")
MOTIONS = ("system", "still")
MAX_KEYS = 4
# Actions of each key table in annotator_ui/static/annotator_ui/keys.js; a test holds the two together.
ACTIONS: dict[str, str] = {
    "desk": "problem instructions postpone",
    "select": (
        "segment brush eraser polygon cut flag not left right up down tap tapnot cancel "
        "undo redo holes specks bigger smaller closer farther fit pan outline category "
        "reject skip submit"
    ),
    "compare": (
        "left right equal neither undo reset turn nearer farther plain normals edges "
        "wireframe outline crop zoomin zoomout skip escalate"
    ),
    "grid": "confirm none turn crop zoomin zoomout skip escalate",
    "rate": (
        "full less more store undo reset turn nearer farther plain normals edges "
        "wireframe outline crop zoomin zoomout"
    ),
    "scale": (
        "less more store undo reset turn nearer farther plain normals edges wireframe "
        "outline crop zoomin zoomout"
    ),
    "align": (
        "translate rotate scale x- x+ y- y+ z+ z- yaw- yaw+ pitch- pitch+ roll- roll+ "
        "grow shrink axis quarter-y quarter-x quarter-z pivot middle upright ground fit "
        "undo redo reset look fainter stronger closer farther whole photo front back "
        "left right top bottom mesh points target gizmo cancel submit"
    ),
    "review": (
        "next previous accept fix return swap wipe beside look closer farther whole less "
        "more turn"
    ),
    "art": "next previous starter choose pause look closer farther whole turn shading home",
    "art_review": "next previous accept return pin look closer farther whole turn shading home",
    "practice": "left right go reset turn",
}
NAMED_KEYS = "enter|space|escape|backspace|delete|insert|home|end|pageup|pagedown|arrow(?:left|right|up|down)|f[1-9]|f1[0-2]"
CHORD = re.compile(rf"(?:ctrl\+)?(?:alt\+)?(?:shift\+)?(?:{NAMED_KEYS}|[^\sA-Z])")


class PreferencesIn(serializers.Serializer):
    """Preferences to set; what is left out stays as it is."""

    language = serializers.ChoiceField(choices=settings.LANGUAGES, required=False)
    theme = serializers.ChoiceField(choices=THEMES, required=False)
    motion = serializers.ChoiceField(choices=MOTIONS, required=False)
    keys = serializers.DictField(
        child=serializers.DictField(child=serializers.ListField(child=serializers.CharField(max_length=30))),
        required=False,
    )

    def to_internal_value(self, data: Any) -> Any:
        """Refuse fields that are not preferences."""
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError({str(unknown[0]): [_("There is no such preference.")]})
        return super().to_internal_value(data)

    def validate_keys(self, keys: dict[str, dict[str, list[str]]]) -> dict[str, dict[str, list[str]]]:
        """Known tables and actions, keys as chords («ctrl+shift+z»), no key twice in a table."""
        for table, actions in keys.items():
            known = ACTIONS.get(table, "").split()
            taken: set[str] = set()
            for action, chords in actions.items():
                if action not in known:
                    raise serializers.ValidationError(
                        _("There is no action %(action)s in %(table)s.") % {"action": action[:40], "table": table[:40]}
                    )
                check_chords(chords, taken)
        return keys


def check_chords(chords: list[str], taken: set[str]) -> None:
    """Add an action's keys to those that are taken; refuse what is no key or is there already."""
    if not 1 <= len(chords) <= MAX_KEYS:
        raise serializers.ValidationError(_("An action has one to %(most)s keys.") % {"most": MAX_KEYS})
    for chord in chords:
        if not CHORD.fullmatch(chord):
            raise serializers.ValidationError(_("%(key)s is not a key.") % {"key": chord})
        if chord in taken:
            raise serializers.ValidationError(_("The key %(key)s has two meanings.") % {"key": chord})
        taken.add(chord)


class MeIn(serializers.Serializer):
    """What a person may change of oneself."""

    preferences = PreferencesIn()
