"""An authority of our own that signs pictures with Content Credentials, in every format."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
KINDS = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "avif": "image/avif",
         "tif": "image/tiff"}  # fmt: skip
"""What the library calls the formats it signs, by the ends of files' names."""


class Authority:
    """Has a root and a signer. It is known to those who are given its certificate."""

    def __init__(self) -> None:
        self._root_key, self._key = (ec.generate_private_key(ec.SECP256R1()) for _ in "12")
        self._root = self._certificate("Root", self._root_key, is_authority=True)
        self._leaf = self._certificate("Signer", self._key, is_authority=False)

    @property
    def pem(self) -> str:
        return _pem(self._root).decode()

    def signed(self, picture: bytes, kind: str, source: str = "trainedAlgorithmicMedia") -> bytes:
        """Returns a picture of a kind of `KINDS` with credentials that name its source."""
        created = {"action": "c2pa.created", "digitalSourceType": _IPTC + source}
        manifest = {
            "claim_generator_info": [{"name": "antifake tests", "version": "1"}],
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}],
        }
        key = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        chain = _pem(self._leaf) + _pem(self._root)
        info = c2pa.C2paSignerInfo(alg=b"es256", sign_cert=chain, private_key=key, ta_url=None)
        out = io.BytesIO()
        builder, signer = c2pa.Builder(json.dumps(manifest)), c2pa.Signer.from_info(info)
        builder.sign(signer, KINDS[kind], io.BytesIO(picture), out)
        return out.getvalue()

    def _certificate(self, name: str, key: Any, *, is_authority: bool) -> x509.Certificate:
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name("Root"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=365))
            .add_extension(x509.BasicConstraints(is_authority, None), True)
            .add_extension(_usage(is_authority=is_authority), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        )
        if not is_authority:
            issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._root_key.public_key())
            purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            made = made.add_extension(purpose, False).add_extension(issuer, False)
        return made.sign(self._root_key, hashes.SHA256())


def _name(name: str) -> x509.Name:
    maker = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Made-up Maker")
    return x509.Name([maker, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        not is_authority, False, False, False, False, is_authority, is_authority, False, False
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
