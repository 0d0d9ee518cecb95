"""NICE's hashes: every signature is the hex SHA-256 of some fields and the secret key, one after the other."""

import hashlib
import hmac


def seal(*parts: str | int) -> str:
    """``hex(sha256(parts joined))``; the secret key is the last part."""
    return hashlib.sha256("".join(map(str, parts)).encode()).hexdigest()


def is_sealed(given: object, *parts: str | int) -> bool:
    """Whether ``given`` is the seal of ``parts``, compared in constant time."""
    return isinstance(given, str) and given.isascii() and hmac.compare_digest(given, seal(*parts))
