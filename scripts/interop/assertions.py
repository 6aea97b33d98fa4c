"""JOSE of others: assertions that jwskate and npm's jose signed are taken, and what is altered in one is refused.

Each alteration is sent before the assertion itself. That is then taken, so it was the alteration alone that was refused, and a second
time it is refused too.
"""

import base64
import importlib.metadata
import json
import secrets
from collections.abc import Callable

import jwskate
import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils
from report import Line, Report
from scene import ALGORITHMS, Client, Scene
from service import JWT_BEARER, Service
from with_node import Package

# Order of the group of Ed25519 (RFC 8032 section 5.1).
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def encode(part: bytes | dict) -> str:
    part = json.dumps(part).encode() if isinstance(part, dict) else part
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


class Parts:
    """A JWS in compact form, taken apart, and the key that made it."""

    def __init__(self, text: str, key: dict):
        self.header, self.payload, self.signature = text.split(".")
        self.key = jwskate.Jwk(key)

    def with_header(self, **changes) -> str:
        return f"{encode({**json.loads(decode(self.header)), **changes})}.{self.payload}.{self.signature}"

    def with_payload(self, **changes) -> str:
        return f"{self.header}.{encode({**json.loads(decode(self.payload)), **changes})}.{self.signature}"

    def with_signature(self, signature: bytes) -> str:
        return f"{self.header}.{self.payload}.{encode(signature)}"

    @property
    def signed(self) -> bytes:
        return f"{self.header}.{self.payload}".encode()


def flipped(data: bytes, at: int) -> bytes:
    """With one bit changed."""
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def by_secret(parts: Parts, secret: bytes) -> str:
    """Signed with a secret that everybody knows: the public key."""
    header = encode({**json.loads(decode(parts.header)), "alg": "HS256"})
    signature = jwskate.SymmetricJwk.from_bytes(secret).sign(f"{header}.{parts.payload}".encode(), alg="HS256")
    return f"{header}.{parts.payload}.{encode(bytes(signature))}"


def alterations(parts: Parts, alg: str, other: dict) -> dict[str, str]:
    """By name, what must not be taken. `other`: a key of the same kind that is not registered."""
    signature, claims = decode(parts.signature), json.loads(decode(parts.payload))
    public = parts.key.public_jwk()
    found = {
        "another sub": parts.with_payload(sub="another"),
        "a later exp": parts.with_payload(exp=claims["exp"] + 1),
        "one bit of the signature": parts.with_signature(flipped(signature, 0)),
        "its last bit": parts.with_signature(flipped(signature, -1)),
        "a byte less": parts.with_signature(signature[:-1]),
        "a byte more": parts.with_signature(signature + b"\0"),
        "a signature of zeros": parts.with_signature(bytes(len(signature))),
        "no signature": parts.with_signature(b""),
        "alg none": parts.with_header(alg="none"),
        "alg none, and no signature": parts.with_header(alg="none").rsplit(".", 1)[0] + ".",
        "another name for alg": parts.with_header(alg="PS256" if alg == "RS256" else "RS256" if alg == "PS256" else "ES256K"),
        "a member more in the header": parts.with_header(extra=1),
        "a known secret: the key in PEM": by_secret(parts, public.to_pem().encode() if isinstance(public.to_pem(), str) else public.to_pem()),
        "a known secret: the key in JSON": by_secret(parts, json.dumps(dict(public)).encode()),
        "padding of base64": f"{parts.header}.{parts.payload}.{parts.signature}=",
        "a fourth part": f"{parts.header}.{parts.payload}.{parts.signature}.{parts.signature}",
        "another's key": str(jwskate.Jwt.sign(claims, key=other, alg="EdDSA" if alg == "Ed25519" else alg)),
    }
    return found | OF_KIND[alg](parts, signature)


def of_ecdsa(parts: Parts, signature: bytes) -> dict[str, str]:
    """Forms that other standards have for the same signature."""
    half = len(signature) // 2
    r, s = (int.from_bytes(part) for part in (signature[:half], signature[half:]))
    longer = bytes(1) + signature[:half] + bytes(1) + signature[half:]
    return {"the signature in DER": parts.with_signature(utils.encode_dss_signature(r, s)), "longer numbers": parts.with_signature(longer)}


def of_ed25519(parts: Parts, signature: bytes) -> dict[str, str]:
    """The same, with the group's order added to its second half."""
    added = int.from_bytes(signature[32:], "little") + ED25519_ORDER
    return {"the order added to S": parts.with_signature(signature[:32] + added.to_bytes(32, "little"))}


def of_rsa(parts: Parts, signature: bytes) -> dict[str, str]:
    """Signatures by the right key, padded or digested otherwise."""
    key = parts.key.cryptography_key
    sha256 = hashes.SHA256()
    pss = {f"PSS with a salt of {length}": padding.PSS(padding.MGF1(sha256), length) for length in (0, 20, 222)}
    found = {name: parts.with_signature(key.sign(parts.signed, scheme, sha256)) for name, scheme in pss.items()}
    found["SHA-384 in place of SHA-256"] = parts.with_signature(key.sign(parts.signed, padding.PKCS1v15(), hashes.SHA384()))
    return found


OF_KIND: dict[str, Callable[[Parts, bytes], dict[str, str]]] = {
    "RS256": of_rsa, "PS256": of_rsa, "ES256": of_ecdsa, "ES384": of_ecdsa, "EdDSA": of_ed25519, "Ed25519": of_ed25519,
}


def by_jwskate(client: Client, issuer: str) -> str:
    """The name is put into the header by hand, since it knows the algorithm of Ed25519 as EdDSA alone."""
    now = jwskate.Jwt.timestamp()
    claims = {"iss": client.client_id, "sub": client.client_id, "aud": issuer, "iat": now, "exp": now + 240, "jti": secrets.token_urlsafe(16)}
    key = jwskate.Jwk(client.private_jwk)
    signed = f"{encode({'alg': client.alg, 'kid': key['kid']})}.{encode(claims)}"
    signature = key.sign(signed.encode(), alg="EdDSA" if client.alg == "Ed25519" else client.alg)
    return f"{signed}.{encode(bytes(signature))}"


class Run:
    """Both libraries' assertions, with one service."""

    def __init__(self, report: Report, package: Package, scene: Scene, service: Service):
        self.report, self.scene, self.service = report, scene, service
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(scene.folder / "ca.crt")
        file = scene.folder / f"{service.name}.json"
        made = package.lines("assertions.mjs", str(file))
        self.makers: dict[str, Callable[[Client], str]] = {
            f"jwskate {importlib.metadata.version('jwskate')}": lambda client: by_jwskate(client, service.issuer),
            package.version("jose"): lambda client: next(one["assertion"] for one in made if one["client_id"] == client.client_id),
        }

    def everything(self):
        for maker, make in self.makers.items():
            for client in self.scene.clients:
                if client.alg:
                    line = Line(maker, f"assertion {client.alg}", "altered ones refused, itself taken, once")
                    self.report.attempt(self.service.column, line, lambda: self.judged(client, make(client)))

    def judged(self, client: Client, assertion: str):
        other = dict(ALGORITHMS[client.alg](client.private_jwk["kid"]))
        for name, altered in alterations(Parts(assertion, client.private_jwk), client.alg, other).items():
            assert altered != assertion, name
            assert self.ask(altered) == (401, "invalid_client"), f"{name}: {self.ask(altered)}"
        assert self.ask(assertion) == (200, None), self.ask(assertion)
        assert self.ask(assertion) == (401, "invalid_client"), "used twice"

    def ask(self, assertion: str) -> tuple[int, str | None]:
        form = {"grant_type": "client_credentials", "client_assertion_type": JWT_BEARER, "client_assertion": assertion}
        answer = self.session.post(f"{self.service.issuer}/oauth2/token", data=form)
        return answer.status_code, answer.json().get("error")
