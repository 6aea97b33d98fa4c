"""Who is registered at the services under test, with all that these clients need to prove it: one description for every library."""

import base64
import dataclasses
import hashlib
import json
import pathlib
import secrets

import jwskate
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

import certificates

API, ORDERS = "https://api.example.com", "orders"
SCOPE = "invoices:read"
# Everything that form encoding, Basic and UTF-8 have something to say about.
ODD_SECRET = "a+b c%:ü"
# By the name of RFC 7518, 8037 or 9864: what makes a key of it.
ALGORITHMS = {
    "RS256": lambda kid: jwskate.Jwk.generate(alg="RS256", kid=kid),
    "PS256": lambda kid: jwskate.Jwk.generate(alg="PS256", kid=kid),
    "ES256": lambda kid: jwskate.Jwk.generate(alg="ES256", kid=kid),
    "ES384": lambda kid: jwskate.Jwk.generate(alg="ES384", kid=kid),
    "EdDSA": lambda kid: jwskate.Jwk.generate(alg="EdDSA", crv="Ed25519", kid=kid),
    "Ed25519": lambda kid: jwskate.Jwk.generate(alg="EdDSA", crv="Ed25519", kid=kid),
}


@dataclasses.dataclass
class Client:
    """A client: its method, and a secret, a private key or a certificate (`NAME.crt` and `NAME.key` in the folder)."""

    client_id: str
    method: str
    client_secret: str | None = None
    private_jwk: dict | None = None
    alg: str | None = None
    certificate: str | None = None
    # SHA-256 of the certificate, as `cnf` has it (RFC 8705 section 3.1).
    thumbprint: str | None = None
    # What else clients.toml says of it.
    more: str = ""
    jwks: dict | None = None

    @property
    def label(self) -> str:
        """The method as the report names it."""
        odd = ", odd secret" if self.client_secret == ODD_SECRET else ""
        return f"{self.method}{odd}" + (f" {self.alg}" if self.alg else "")

    def registration(self) -> str:
        """Its table of clients.toml. A JWK set in JSON stands in a file beside it."""
        lines = [f'client_id = "{self.client_id}"']
        if self.client_secret:
            lines.append(f"client_secret = {json.dumps(self.client_secret, ensure_ascii=False)}")
        lines.append(f'token_endpoint_auth_method = "{self.method}"')
        if self.method.startswith("client_secret"):
            lines.append("strict_auth_method = true")
        if self.jwks:
            lines.append(f'jwks_file = "{self.client_id}.jwks"')
        return "\n".join(["[[client]]", *lines, self.more or TOKENS, ""])


TOKENS = f'scope = "{SCOPE} invoices:write"\ndefault_scope = "{SCOPE}"\naudience = ["{API}", "{ORDERS}"]\ndefault_audience = ["{API}"]'


def resource_server() -> Client:
    """Who asks about tokens, and gets none."""
    more = f'grant_types = []\nintrospection = ["{API}", "{ORDERS}"]'
    return Client("orders-api", "client_secret_basic", secrets.token_urlsafe(32), more=more)


def clients(folder: pathlib.Path, authority: certificates.Authority) -> list[Client]:
    """One for each method, and for each algorithm where it signs."""
    by_secret = ["client_secret_basic", "client_secret_post"]
    found = [Client(f"{method}-worker", method, secrets.token_urlsafe(32)) for method in by_secret]
    found += [Client(f"{method}-odd", method, ODD_SECRET) for method in by_secret]
    for alg, make in ALGORITHMS.items():
        key = make(f"key-{alg}")
        public = dict(key.public_jwk(), alg=alg)
        name = f"jwt-{alg}"
        found.append(Client(name, "private_key_jwt", private_jwk=dict(key), alg=alg, jwks={"keys": [public]}))
    found.append(with_certificate("tls-worker", "tls_client_auth", authority.certify_client(folder, "tls-worker")))
    own = certificates.self_signed(folder, "own-worker")
    found.append(with_certificate("own-worker", "self_signed_tls_client_auth", own))
    return found


def with_certificate(name: str, method: str, certificate: x509.Certificate) -> Client:
    """Known by its subject, or by the certificate itself; its tokens are bound to it."""
    bound = f"{TOKENS}\ntls_client_certificate_bound_access_tokens = true"
    thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).rstrip(b"=").decode()
    client = Client(name, method, certificate=name, thumbprint=thumbprint, more=bound)
    if method == "tls_client_auth":
        client.more += f'\ntls_client_auth_subject_dn = "{certificate.subject.rfc4514_string()}"'
    else:
        der = certificate.public_bytes(serialization.Encoding.DER)
        client.jwks = {"keys": [{"kty": "EC", "x5c": [base64.b64encode(der).decode()]}]}
    return client


def dpop_client() -> Client:
    """Gets no token without a proof of a key."""
    more = f"{TOKENS}\ndpop_bound_access_tokens = true"
    return Client("dpop-worker", "client_secret_basic", secrets.token_urlsafe(32), more=more)


@dataclasses.dataclass
class Scene:
    """Everything that a library is told."""

    folder: pathlib.Path
    clients: list[Client]
    resource_server: Client
    dpop: Client

    @classmethod
    def set(cls, folder: pathlib.Path) -> "Scene":
        """Makes keys and certificates, and writes the files that services and libraries read."""
        authority = certificates.Authority("an authority of this run")
        authority.write(folder / "ca.crt")
        authority.certify_server(folder, "server")
        # Of the right authority, and of a client that is not registered.
        authority.certify_client(folder, "stranger")
        scene = cls(folder, clients(folder, authority), resource_server(), dpop_client())
        everybody = [*scene.clients, scene.resource_server, scene.dpop]
        (folder / "clients.toml").write_text("\n".join(client.registration() for client in everybody))
        for client in everybody:
            if client.jwks:
                (folder / f"{client.client_id}.jwks").write_text(json.dumps(client.jwks))
        return scene

    def write(self, file: pathlib.Path, **service):
        """The same for a library in another language, as JSON. `service`: where the service is, and what it asks for."""
        told = {name: dataclasses.asdict(getattr(self, name)) for name in ("resource_server", "dpop")}
        told["clients"] = [{**dataclasses.asdict(client), "label": client.label} for client in self.clients]
        told |= {"folder": str(self.folder), "api": API, "orders": ORDERS, "scope": SCOPE, **service}
        file.write_text(json.dumps(told, indent=1))


def s256(data: bytes) -> str:
    """SHA-256 in base64url, as thumbprints are written."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
