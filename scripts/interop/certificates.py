"""Certificates that nobody else believes: an authority of one run, and what it signs for a server and for clients."""

import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = datetime.timedelta(days=2)


class Authority:
    """Who signs."""

    def __init__(self, name: str):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = subject(name)
        basic = x509.BasicConstraints(ca=True, path_length=0)
        self.certificate = builder(self.name, self.name, self.key).add_extension(basic, critical=True).sign(self.key, hashes.SHA256())

    def write(self, file: pathlib.Path):
        file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def certify_server(self, folder: pathlib.Path, name: str) -> x509.Certificate:
        """For 127.0.0.1 and localhost."""
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")])
        return issue(folder, name, ExtendedKeyUsageOID.SERVER_AUTH, self, names)

    def certify_client(self, folder: pathlib.Path, name: str) -> x509.Certificate:
        return issue(folder, name, ExtendedKeyUsageOID.CLIENT_AUTH, self)


def self_signed(folder: pathlib.Path, name: str) -> x509.Certificate:
    """A client's own."""
    return issue(folder, name, ExtendedKeyUsageOID.CLIENT_AUTH)


def subject(name: str) -> x509.Name:
    parts = [(NameOID.COUNTRY_NAME, "DE"), (NameOID.ORGANIZATION_NAME, "Example"), (NameOID.COMMON_NAME, name)]
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


def builder(of: x509.Name, by: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder().subject_name(of).issuer_name(by).public_key(key.public_key())
    return made.serial_number(x509.random_serial_number()).not_valid_before(now - LIFE).not_valid_after(now + LIFE)


def issue(folder: pathlib.Path, name: str, usage, by: Authority | None = None, names=None) -> x509.Certificate:
    """Writes `name`.crt and `name`.key."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = builder(subject(name), by.name if by else subject(name), key)
    made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    made = made.add_extension(names, critical=False) if names else made
    certificate = made.sign(by.key if by else key, hashes.SHA256())
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.key").write_bytes(key.private_bytes(*form))
    return certificate
