"""Settings of a hub that is not running: its database and its key."""

import pytest
from cryptography.fernet import Fernet

from hub.settings import Settings


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Settings with a database of their own."""
    return Settings(database_url=database_url, secret_key=Fernet.generate_key().decode())
