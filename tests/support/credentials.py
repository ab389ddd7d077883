"""Passwords of the tests, as the directory keeps them."""

from __future__ import annotations

from acd.directory.schema.words import password_hashes
from acd.sip.core.credentials import Credentials


def ha1(algorithm: str, username: str, realm: str, password: str) -> str:
    """By MD5 or SHA-256."""
    return password_hashes(username, realm, password)["ha1_md5" if algorithm == "MD5" else "ha1_sha256"]


def credentials_of(username: str, realm: str, password: str) -> Credentials:
    """What proves to a peer who we are."""
    hashes = [ha1(algorithm, username, realm, password) for algorithm in ("MD5", "SHA-256")]
    return Credentials(username, realm, *hashes)
