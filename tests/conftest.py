"""A real PostgreSQL and a real Redis for every test process, started here and stopped at the end.

Nothing on the machine is used but programs: a DATABASE_URL or REDIS_URL in the environment is taken away, so that
no test can ever write into somebody's database. The schema is migrated once, and every test that asks for
`database_url` gets a copy of that database to itself.
"""

import asyncio
import itertools
import os
import shutil
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import settings as hypothesis_settings

from hub import settings
from hub.services.data import DataDirectory
from hub.services.postgres import Postgres
from hub.services.redis import Redis
from hub.settings import Settings
from hub.store import migrate

for variable in [name for name in os.environ if name.startswith(("HUB_", "DATABASE_URL", "REDIS_URL"))]:
    del os.environ[variable]
Settings.model_config["env_file"] = None
os.environ["PGSSLMODE"] = "disable"  # nobody listens in, and each connection would make a context for TLS first

# Tracebacks as Python prints them: structlog's own would show the values of every variable, and take seconds for it.
structlog.configure(
    processors=[structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
)

hypothesis_settings.register_profile("here", deadline=None)  # how long an example takes says nothing of what it shows
hypothesis_settings.load_profile("here")

WALKS = "tests/walks/"
TEMPLATE = "template_hub"
MEMORY, ROOM = Path("/dev/shm"), 4 * 2**30
# A test database does not outlive its test: what makes it safe on disk only costs time.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Walks take long and mostly wait: they are spread between the files, so that several workers wait and compute at
    the same time, and none of them is left for the end."""
    walks = [item for item in items if item.nodeid.startswith(WALKS)]
    others = [item for item in items if not item.nodeid.startswith(WALKS)]
    files = [list(found) for _, found in itertools.groupby(others, lambda item: item.path)]
    placed = 0
    items.clear()
    for number, found in enumerate(files, 1):
        due = min(len(walks), len(walks) * number * 4 // (len(files) * 3))
        items += [*walks[placed:due], *found]
        placed = due
    items += walks[placed:]


@pytest.fixture(scope="session")
def test_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataDirectory]:
    """The data directory of this test process: in memory if there is room, where a database is made much faster."""
    in_memory = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    parent = MEMORY if in_memory else tmp_path_factory.getbasetemp()
    with tempfile.TemporaryDirectory(prefix="knutpunkt-", dir=parent) as path:
        data = DataDirectory(Path(path))
        data.create()
        yield data


@pytest.fixture(scope="session")
async def postgres_server(test_data: DataDirectory) -> AsyncIterator[Postgres]:
    """The PostgreSQL of this test process, its template database migrated."""
    server = Postgres(test_data, FAST)
    await server.start()
    try:
        connection = await asyncpg.connect(server.url, ssl=False)
        await connection.execute(f"CREATE DATABASE {TEMPLATE}")
        await connection.close()
        await asyncio.to_thread(migrate.upgrade, _database(server, TEMPLATE))
        yield server
    finally:
        await server.stop()


@pytest.fixture(scope="session")
async def redis_server(test_data: DataDirectory) -> AsyncIterator[Redis]:
    """The Redis of this test process."""
    server = Redis(test_data)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture(scope="session")
def database_names() -> "itertools.count[int]":
    """Numbers for the databases of this test process."""
    return itertools.count(1)


@pytest.fixture
async def database_url(postgres_server: Postgres, database_names: "itertools.count[int]") -> AsyncIterator[str]:
    """The address of an empty, migrated database, as its owner; gone after the test."""
    name = f"test_{next(database_names)}"
    connection = await asyncpg.connect(postgres_server.url, ssl=False)
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
        yield _database(postgres_server, name)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


@pytest.fixture
async def redis_url(redis_server: Redis) -> str:
    """The address of an empty Redis."""
    async with redis.asyncio.from_url(redis_server.url) as client:
        await client.flushall()
    return redis_server.url


@pytest.fixture(autouse=True)
def fresh_settings() -> None:
    """Settings are read once per process; each test reads its own."""
    settings._load.cache_clear()


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Wait until a condition holds: `await eventually(lambda: ...)`; fails after 20 seconds."""

    async def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            await asyncio.sleep(0.02)

    return wait


@pytest.fixture
def certify(tmp_path: Path) -> Callable[[ssl.SSLContext, datetime], None]:
    """Give a TLS server a certificate that nobody trusts and that ends at a given time: `certify(context, end)`."""
    file = tmp_path / "tls.pem"

    def give(tls: ssl.SSLContext, end: datetime) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "partner.example")])
        builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        dated = builder.not_valid_before(end - timedelta(days=90)).not_valid_after(end)
        public = dated.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
        file.write_bytes(public + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        tls.load_cert_chain(file)

    return give


def _database(server: Postgres, name: str) -> str:
    return server.url.rpartition("/")[0] + f"/{name}"
