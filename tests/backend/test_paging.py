"""Every list pages by key: nothing twice, nothing lost, one statement a page."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from backend.catalog.models import Batch
from backend.paging import page


@pytest.fixture
def batches(db: None) -> None:
    Batch.objects.bulk_create(Batch(name=f"batch-{number}") for number in range(5))


def get(order: str = "-id", **query: Any) -> dict[str, Any]:
    request = Request(APIRequestFactory().get("/", query))
    return page(request, Batch.objects.all(), lambda batch: {"name": batch.name}, order).data


def test_pages_follow_each_other_without_gap_or_repeat(batches: None) -> None:
    names, cursor = [], ""
    while cursor is not None:
        answer = get(limit=2, cursor=cursor)
        names += [row["name"] for row in answer["results"]]
        cursor = answer["next"]
    assert names == [f"batch-{number}" for number in (4, 3, 2, 1, 0)]


def test_another_unique_field_may_order(batches: None) -> None:
    first = get("name", limit=3)
    assert [row["name"] for row in get("name", cursor=first["next"])["results"]] == ["batch-3", "batch-4"]


def test_a_page_costs_one_statement(batches: None) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        get(limit=2)
    assert len(queries) == 1


@pytest.mark.parametrize("query", [{"cursor": "soon"}, {"limit": "0"}, {"limit": "-1"}, {"limit": "many"}])
def test_nonsense_is_a_bad_request(batches: None, query: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        get(**query)
