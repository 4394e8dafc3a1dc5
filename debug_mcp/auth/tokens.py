"""Secrets of tokens: made, recognised and hashed. Pure; knows no store and no transport.

A secret is 256 random bits, so a plain SHA-256 is enough to store it: there is nothing to guess
that a slow hash would protect. It is looked up by its hash, and so never compared in clear.
"""

import hashlib
import re
import secrets

PREFIX = "dmcp_"
_SECRET_BYTES = 32
# What 32 bytes are in base64 without padding.
SECRET = re.compile(r"dmcp_[A-Za-z0-9_-]{43}")


def new_secret() -> str:
    """Return a new secret, to be shown once."""
    return PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def is_secret(text: str) -> bool:
    """Return whether a text has the form of a secret; says nothing of whether it is valid."""
    return SECRET.fullmatch(text) is not None


def digest(secret: str) -> str:
    """Return what is stored of a secret: its SHA-256 in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()
