"""The test run itself: real PostgreSQL and Redis, found by Django's settings."""

import os

import pytest
import redis
from django.db import connection


@pytest.mark.django_db
def test_tests_run_on_a_real_postgresql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        assert int(cursor.fetchone()[0]) >= 150000


def test_tests_run_on_a_real_redis() -> None:
    assert redis.from_url(os.environ["REDIS_URL"]).ping()
