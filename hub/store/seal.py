"""Partner tokens at rest: sealed with the key of the settings, so that a copy of the database opens no door."""

import hashlib
import hmac
import secrets

from cryptography.fernet import Fernet


class Seal:
    """Encrypts and decrypts with HUB_SECRET_KEY (a Fernet key)."""

    def __init__(self, secret_key: str) -> None:
        self._fernet = Fernet(secret_key.encode())
        self._naming = hashlib.sha256(b"pseudonyms" + secret_key.encode()).digest()

    def close(self, plain: str) -> bytes:
        """The sealed form of a token."""
        return self._fernet.encrypt(plain.encode())

    def open(self, sealed: bytes) -> str:
        """The token in a sealed form; raises `cryptography.fernet.InvalidToken` under another key."""
        return self._fernet.decrypt(sealed).decode()

    def pseudonym(self, personal: str) -> str:
        """A name for something personal: always the same, and nobody without the key can tell what it stands for."""
        return hmac.digest(self._naming, personal.encode(), "sha256")[:16].hex()


def new_token() -> str:
    """A fresh token: 256 bits, printable ASCII (CRED-038), and never valid Base64, so never read in two ways."""
    return "kp-" + secrets.token_hex(28)


def hash_token(token: str) -> bytes:
    """What is stored of a token that others show to us."""
    return hashlib.sha256(token.encode()).digest()
