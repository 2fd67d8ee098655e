"""Random secrets and how they are stored: 256 bits from the operating system, kept only as their SHA-256.

A slow hash is for passwords, which people choose. Nobody can guess 256 random bits, so a fast one is enough here, and
it makes the stored value something to look up.
"""

from __future__ import annotations

import hashlib
import secrets

MAX_CHARS = 512
"""No secret of ours is longer; anything that is, is refused before it is hashed."""

REFRESH = "netra_ref_"
PERSONAL = "netra_pat_"
TICKET = "netra_tkt_"
SETUP = "netra_set_"
COOKIE = "netra_ses_"


def new_secret(prefix: str) -> str:
    """A new secret: the prefix, by which people and secret scanners recognise it, and 43 characters of base64url."""
    return prefix + secrets.token_urlsafe(32)


def fingerprint(secret: str) -> bytes:
    """What is stored instead of the secret, and looked up when somebody presents one."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
