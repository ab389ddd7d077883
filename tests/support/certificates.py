"""A certificate authority of a test, and what it signs, as PEM files."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate with its key in one PEM file."""

    path: Path

    @property
    def text(self) -> str:
        return str(self.path)


class Authority:
    """Signs certificates into a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.path = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.path))

    def sign(self, *names: str) -> Signed:
        """A certificate for these host names and addresses."""
        path = self._folder / f"{names[0].replace(':', '_')}-{len(list(self._folder.iterdir()))}.pem"
        self._authority.issue_cert(*names).private_key_and_cert_chain_pem.write_to_path(str(path))
        return Signed(path)

    def client(self, certificate: Signed | None = None) -> ssl.SSLContext:
        """What a client uses that trusts this authority, and shows a certificate where it has one."""
        context = ssl.create_default_context(cafile=str(self.path))
        if certificate is not None:
            context.load_cert_chain(certificate.path)
        return context
