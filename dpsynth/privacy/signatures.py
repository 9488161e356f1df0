"""Detached Ed25519 signatures of released files, in the format of minisign.

    key = SigningKey.create(path)                    # a PEM file that only its owner may read
    text = key.sign(data, "steward: Office of X; dpsynth 0.1.0")
    comment = verify(text, data, key.public_text)    # the signed comment; raises ArtifactError

A signature covers the BLAKE2b-512 digest of the file and, by a second signature, its trusted comment. `minisign -Vm
FILE -p steward.pub` checks the same files without this package. The secret key never enters a release.
"""

# pyright: reportUnknownMemberType=false

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from dpsynth.errors import ArtifactError, ConfigError

_PURE, _HASHED = b"Ed", b"ED"
_UNTRUSTED, _TRUSTED = "untrusted comment: ", "trusted comment: "
_LARGEST = 10_000  # bytes of a key or a signature


@dataclass(frozen=True)
class SigningKey:
    """A secret key. Its `repr` shows nothing of it."""

    _key: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"SigningKey({key_id(self.public_bytes)})"

    @classmethod
    def create(cls, path: str | Path) -> SigningKey:
        """A new key, written to the new file `path` for its owner's eyes only. Raises `ConfigError` if it exists."""
        path, key = Path(path), Ed25519PrivateKey.generate()
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(text)
        except FileExistsError:
            raise ConfigError(f"{path}: exists already; a key is never overwritten") from None
        return cls(key)

    @classmethod
    def read(cls, path: str | Path) -> SigningKey:
        """The key of a PEM file. Raises `ConfigError` when it holds none."""
        path = Path(path)
        try:
            key = serialization.load_pem_private_key(_small(path), password=None)
        except FileNotFoundError:
            raise ConfigError(f"{path}: no such key; make one with --new-key {path}") from None
        except (ValueError, TypeError):
            raise ConfigError(f"{path}: not an unencrypted Ed25519 key in PEM form") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(f"{path}: not an Ed25519 key")
        return cls(key)

    @property
    def public_bytes(self) -> bytes:
        """32 bytes."""
        return self._key.public_key().public_bytes_raw()

    @property
    def public_text(self) -> str:
        """The public key as minisign writes it, two lines."""
        known = self.public_bytes
        body = base64.b64encode(_PURE + _id(known) + known).decode()
        return f"{_UNTRUSTED}minisign public key {key_id(known)}\n{body}\n"

    def sign(self, data: bytes, comment: str) -> str:
        """The signature of `data` as minisign writes it, four lines. `comment`: one line, signed too."""
        if any(sign in comment for sign in "\r\n"):
            raise ConfigError("the comment of a signature is one line")
        signature = self._key.sign(hashlib.blake2b(data).digest())
        whole = self._key.sign(signature + comment.encode())
        body = base64.b64encode(_HASHED + _id(self.public_bytes) + signature).decode()
        return (
            f"{_UNTRUSTED}signature by dpsynth, key {key_id(self.public_bytes)}\n{body}\n"
            f"{_TRUSTED}{comment}\n{base64.b64encode(whole).decode()}\n"
        )


def key_id(public: bytes) -> str:
    """The number by which minisign names a public key of 32 bytes."""
    return f"{int.from_bytes(_id(public), 'little'):016X}"


def verify(signature: str, data: bytes, public: str) -> str:
    """The trusted comment of a signature of `data` by the key `public` (the text of a .pub file, or its second line).

    Raises `ArtifactError` when it is not by that key, or data or comment were changed.
    """
    key, number = _public(public)
    lines = signature.splitlines()
    if len(lines) != 4 or not lines[0].startswith(_UNTRUSTED) or not lines[2].startswith(_TRUSTED):
        raise ArtifactError("not a minisign signature, which has four lines, the third a trusted comment")
    body, whole, comment = _decoded(lines[1], 74), _decoded(lines[3], 64), lines[2].removeprefix(_TRUSTED)
    kind, by, mark = body[:2], body[2:10], body[10:]
    if by != number:
        raise ArtifactError("the signature was made with another key than the public key given")
    if kind not in (_HASHED, _PURE):
        raise ArtifactError("the signature uses an unknown algorithm")
    try:
        key.verify(mark, hashlib.blake2b(data).digest() if kind == _HASHED else data)
        key.verify(whole, mark + comment.encode())
    except InvalidSignature:
        raise ArtifactError("the signature is not valid: the file or the comment was changed after signing") from None
    return comment


def read_public(given: str) -> str:
    """The public key of a file, or the key itself."""
    path = Path(given).expanduser()
    try:
        return _small(path).decode() if path.is_file() else given
    except (OSError, UnicodeDecodeError, ValueError):
        raise ConfigError(f"{given}: not a public key") from None


def _public(text: str) -> tuple[Ed25519PublicKey, bytes]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(_UNTRUSTED)]
    try:
        body = _decoded(lines[0], 42) if len(lines) == 1 else b""
        if body[:2] != _PURE:
            raise ArtifactError("")
        return Ed25519PublicKey.from_public_bytes(body[10:]), body[2:10]
    except (ArtifactError, ValueError):
        raise ConfigError(
            f"{text.strip():.80}: not a public key of minisign (a .pub file, or its second line)"
        ) from None


def _decoded(text: str, length: int) -> bytes:
    try:
        found = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != length:
        raise ArtifactError("the signature is damaged; copy it again")
    return found


def _id(public: bytes) -> bytes:
    return hashlib.blake2b(public, digest_size=8).digest()


def _small(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError("too large")
    return content
