"""The guided practice: gold pairs with a place, the same for everybody; which side is which is a coin per person."""

from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from backend import jobs
from backend.accounts.access import ApiError, record
from backend.accounts.models import User
from backend.annotation import bracket, payload
from backend.annotation.models import GoldPair, PracticeAnswer
from backend.models import Job

NEEDED = 6


def pairs() -> QuerySet[GoldPair]:
    """The practice objects in their order."""
    return GoldPair.objects.filter(better__object__image__removed_at=None).exclude(place=None).order_by("place")


def is_due(user: User) -> bool:
    """Whether a person is to practise before the first real object."""
    if user.role != User.Role.ANNOTATOR or user.simulated:
        return False
    found = pairs().order_by().aggregate(all=Count("id", distinct=True), done=Count("answers", filter=Q(answers__user=user)))
    return bool(found["all"] >= NEEDED > found["done"])


def practice_first() -> ApiError:
    """What somebody hears who asks for work before the practice."""
    return ApiError(409, "practice_first", _("Six practice objects come before the first real one."))


def items(user: User) -> dict[str, Any]:
    """The practice as one person sees it; what is known of an object is told only once it is answered."""
    given = dict(PracticeAnswer.objects.filter(user=user, pair__place__gt=0).values_list("pair_id", "right"))
    rows = list(pairs().select_related("better__object__image", "worse"))
    return {
        "items": [_item(user, row, given.get(row.pk)) for row in rows],
        "done": sum(row.pk in given for row in rows),
        "right": sum(given.get(row.pk, False) for row in rows),
        "needed": min(NEEDED, len(rows)),
    }


def _better_side(user: User, pair: GoldPair) -> str:
    return "left" if bracket.coin(f"practice:{user.pk}", pair.pk) else "right"


def _item(user: User, pair: GoldPair, right: bool | None) -> dict[str, Any]:
    target, side = pair.better.object, _better_side(user, pair)
    shown = [payload.candidate(pair.better), payload.candidate(pair.worse)]
    left, other = shown if side == "left" else shown[::-1]
    return {
        "id": pair.pk,
        "place": pair.place,
        "object": {
            "id": target.pk,
            "category": target.category,
            "width": target.image.width,
            "height": target.image.height,
            "photo_url": f"{payload.API}/images/{target.image_id}/photo/",
            "mask_url": f"{payload.API}/objects/{target.pk}/mask.png" if target.mask_id else None,
        },
        "left": left,
        "right": other,
        "given": None if right is None else {"right": right, "better": side, "lesson": pair.lesson},
    }


def answer(user: User, pair_id: int, *, answer: str, active_ms: int) -> dict[str, Any]:
    """Store an answer and tell what is right; a second answer to the same object changes nothing."""
    pair = pairs().filter(pk=pair_id).first()
    if pair is None:
        raise ApiError(404, "not_found", _("There is no such practice object."))
    side = _better_side(user, pair)
    row, new = PracticeAnswer.objects.get_or_create(
        pair=pair, user=user, defaults={"right": answer == side, "active_ms": active_ms}
    )
    return {"right": row.right, "better": side, "lesson": pair.lesson, "replayed": not new}


def make(user: User) -> Job:
    """Have the practice made from objects with known truth; the job under way, if there is one. 409 when it is there."""
    if pairs().exists():
        raise ApiError(409, "practice_exists", _("There is a practice already."))
    rows = Job.objects.filter(kind="make_practice").order_by("-id")
    under_way = rows.filter(state__in=[Job.State.QUEUED, Job.State.RUNNING]).first()
    if under_way:
        return under_way
    job = jobs.send("make_practice", key=f"make_practice:{rows.count() + 1}", args={}, by=user)
    record(user, "make_practice", f"job:{job.pk}")
    return job
