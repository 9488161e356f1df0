import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from dpsynth.errors import ArtifactError, ConfigError
from dpsynth.privacy.signatures import SigningKey, read_public, verify

DATA, COMMENT = b"0f3a  model.json\n", "steward: Amt für Statistik; dpsynth 1"


@pytest.fixture
def key(tmp_path):
    return SigningKey.create(tmp_path / "steward.key")


def test_a_signature_is_verified_and_its_comment_returned(key, tmp_path):
    text = key.sign(DATA, COMMENT)
    assert verify(text, DATA, key.public_text) == COMMENT
    assert verify(text, DATA, key.public_text.splitlines()[1]) == COMMENT
    (tmp_path / "steward.pub").write_text(key.public_text)
    assert read_public(str(tmp_path / "steward.pub")) == key.public_text


def test_the_layout_is_that_of_minisign(key):
    """ "ED", 8 bytes of key number, 64 of signature; "Ed", the same number, 32 bytes of public key."""
    first, body, trusted, whole = key.sign(DATA, COMMENT).splitlines()
    raw, public = base64.b64decode(body), base64.b64decode(key.public_text.splitlines()[1])
    assert first.startswith("untrusted comment: ")
    assert trusted == f"trusted comment: {COMMENT}"
    assert (raw[:2], len(raw), len(base64.b64decode(whole))) == (b"ED", 74, 64)
    assert (public[:2], len(public)) == (b"Ed", 42)
    assert raw[2:10] == public[2:10]


@pytest.mark.parametrize("change", ["data", "comment", "signature", "other key", "lines"])
def test_whatever_was_changed_is_found(key, tmp_path, change):
    text, data, public = key.sign(DATA, COMMENT), DATA, key.public_text
    if change == "data":
        data += b"x"
    elif change == "comment":
        text = text.replace("Statistik", "Statistics")
    elif change == "signature":
        lines = text.splitlines()
        raw = bytearray(base64.b64decode(lines[1]))
        raw[40] ^= 1
        lines[1] = base64.b64encode(bytes(raw)).decode()
        text = "\n".join(lines)
    elif change == "other key":
        public = SigningKey.create(tmp_path / "other.key").public_text
    else:
        text = "\n".join(text.splitlines()[:3])
    with pytest.raises(ArtifactError):
        verify(text, data, public)


def test_keys_are_kept_secret_and_never_overwritten(key, tmp_path):
    path = tmp_path / "steward.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert SigningKey.read(path).public_text == key.public_text
    with pytest.raises(ConfigError, match="exists already"):
        SigningKey.create(path)
    secret = path.read_text().splitlines()[1]
    assert secret not in repr(key) + key.sign(DATA, COMMENT) + key.public_text


def test_what_is_no_key_is_refused(tmp_path):
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "rsa.pem").write_bytes(other)
    (tmp_path / "text").write_text("hello")
    for name in ("rsa.pem", "text", "nowhere"):
        with pytest.raises(ConfigError):
            SigningKey.read(tmp_path / name)
    with pytest.raises(ConfigError, match="not a public key"):
        verify("", DATA, "hello")


def test_a_comment_of_several_lines_is_refused(key):
    with pytest.raises(ConfigError, match="one line"):
        key.sign(DATA, "a\nb")
