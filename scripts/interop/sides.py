"""The two servers that are asked the same, with the same clients: jeton, and npm's oidc-provider."""

import base64
import dataclasses
import http.client
import json
import pathlib
import secrets
import urllib.parse

import jwskate
from processes import Processes, accepts, answers, free_port

API, OTHER = "https://api.example.com", "https://other.example.com/v1"
TOKEN, INTROSPECT, REVOKE, METADATA = "/oauth2/token", "/oauth2/introspect", "/oauth2/revoke", "/.well-known/openid-configuration"
GRANT = "grant_type=client_credentials"
FORM = "application/x-www-form-urlencoded"
# What form encoding and Basic have something to say about; the second has a letter outside of ASCII too.
ODD_SECRET, ODDER_SECRET = "a+b c%:", "a+b c%:ü"
SIGNING_KEY = jwskate.Jwk.generate(alg="ES256", kid="signer")
SCOPES = ["invoices:read", "invoices:write"]


@dataclasses.dataclass
class Registered:
    """A client at both. `audience`: whom its tokens may be for, the first of them where it asks for none."""

    client_id: str
    secret: str | None = dataclasses.field(default_factory=lambda: secrets.token_urlsafe(32))
    method: str = "client_secret_basic"
    audience: tuple[str, ...] = ()
    introspection: tuple[str, ...] = ()
    gets_tokens: bool = True


CLIENTS = {
    client.client_id: client
    for client in [
        Registered("billing", audience=(API, OTHER)),
        Registered("reporting", audience=(API,)),
        Registered("post-worker", method="client_secret_post", audience=(API,)),
        Registered("odd", ODD_SECRET, audience=(API,)),
        Registered("odder", ODDER_SECRET, audience=(API,)),
        Registered("signer", None, "private_key_jwt", audience=(API,)),
        Registered("orders-api", introspection=(API, OTHER), gets_tokens=False),
        Registered("elsewhere-api", introspection=("https://elsewhere.example.com",), gets_tokens=False),
        Registered("auditor", introspection=("*",), gets_tokens=False),
    ]
}


def for_jeton(client: Registered) -> str:
    """Its table of clients.toml."""
    lines = ["[[client]]", f'client_id = "{client.client_id}"', f'token_endpoint_auth_method = "{client.method}"']
    if client.secret:
        lines.append(f"client_secret = {json.dumps(client.secret, ensure_ascii=False)}")
    else:
        lines.append('jwks_file = "signer.jwks"')
    if client.gets_tokens:
        lines += [f'scope = "{" ".join(SCOPES)}"', f'default_scope = "{SCOPES[0]}"']
        lines += [f"audience = {json.dumps(client.audience)}", f"default_audience = {json.dumps(client.audience[:1])}"]
    else:
        lines += ["grant_types = []", f"introspection = {json.dumps(client.introspection)}"]
    return "\n".join([*lines, ""])


def for_peer(client: Registered) -> dict:
    """The same in the words of RFC 7591."""
    told = {"client_id": client.client_id, "token_endpoint_auth_method": client.method}
    told |= {"client_secret": client.secret} if client.secret else {"jwks": {"keys": [dict(SIGNING_KEY.public_jwk())]}}
    told["grant_types"] = ["client_credentials"] if client.gets_tokens else []
    told |= {"scope": " ".join(SCOPES)} if client.gets_tokens else {}
    return told | {"audience": client.audience, "introspection": client.introspection}


@dataclasses.dataclass
class Request:
    """What is sent, to the byte but for Host and Content-Length."""

    method: str
    target: str
    body: bytes = b""
    headers: list[tuple[str, str]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Answer:
    """What came back. `headers` by name in small letters, several of a name in one."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict:
        """The members of a JSON object; none, where the body is no such thing."""
        try:
            read = json.loads(self.body)
        except ValueError:
            return {}
        return read if isinstance(read, dict) else {}


class Side:
    """One of the two, and tokens that it issued."""

    def __init__(self, name: str):
        self.name, self.port = name, free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.tokens: dict[str, str] = {}

    def send(self, request: Request) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(request.method, request.target, skip_accept_encoding=True)
            for name, value in request.headers:
                connection.putheader(name, value.encode())
            if request.body or request.method == "POST":
                connection.putheader("Content-Length", str(len(request.body)))
            connection.endheaders(request.body)
            found = connection.getresponse()
            headers: dict[str, str] = {}
            for name, value in found.getheaders():
                headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
            return Answer(found.status, headers, found.read())
        finally:
            connection.close()

    def get_tokens(self):
        """Some of every fate, which rows name in braces."""
        for name in ("billing", "reporting"):
            self.tokens[name] = self.fresh(name)
        self.tokens["revoked"] = self.fresh("billing")
        gone = post(REVOKE, f"token={self.tokens['revoked']}", basic("billing"))
        assert self.send(gone).status == 200
        # As long as one, and none.
        self.tokens["unknown"] = self.tokens["billing"][:-8] + "AAAAAAAA"

    def fresh(self, client_id: str) -> str:
        answer = self.send(post(TOKEN, f"{GRANT}&scope=invoices:read", basic(client_id)))
        return answer.json()["access_token"]

    def audience(self, token: str):
        """Whom a token is for, as one learns who may ask about all."""
        return self.send(post(INTROSPECT, f"token={token}", basic("auditor"))).json().get("aud")


def basic(client_id: str, secret: str | None = None) -> tuple[str, str]:
    """Form-encoded, as RFC 6749 section 2.3.1 has it."""
    return raw_basic(":".join(urllib.parse.quote_plus(part) for part in (client_id, secret or CLIENTS[client_id].secret)))


def raw_basic(credentials: str) -> tuple[str, str]:
    """As it stands."""
    return "Authorization", f"Basic {base64.b64encode(credentials.encode()).decode()}"


def post(path: str, form: str | bytes, *headers: tuple[str, str], kind: str | None = FORM) -> Request:
    body = form if isinstance(form, bytes) else form.encode()
    return Request("POST", path, body, [*([("Content-Type", kind)] if kind else []), *headers])


def start_jeton(processes: Processes, program: pathlib.Path) -> Side:
    """On memory, with its usual settings."""
    side, admin = Side("jeton"), free_port()
    folder = processes.folder / "jeton"
    folder.mkdir()
    (folder / "clients.toml").write_text("\n".join(map(for_jeton, CLIENTS.values())))
    (folder / "signer.jwks").write_text(json.dumps({"keys": [dict(SIGNING_KEY.public_jwk())]}))
    limits = "[limits]\nrequest_deadline_ms = 20000\nwrong_proofs_per_minute = 200\ndrain_delay_ms = 0\n"
    listeners = f'[public]\nlisten = "127.0.0.1:{side.port}"\n[admin]\nlisten = "127.0.0.1:{admin}"\n'
    (folder / "jeton.toml").write_text(f'issuer = "{side.issuer}"\n{listeners}[store]\nurl = "memory:"\n{limits}')
    process = processes.start("jeton-beside-peer", str(program), "serve", "--config", str(folder / "jeton.toml"))
    processes.until(process, "readiness", lambda: answers(f"http://127.0.0.1:{admin}/health/ready"))
    return side


def start_peer(processes: Processes, package: pathlib.Path) -> Side:
    side = Side("oidc-provider")
    file = processes.folder / "peer-clients.json"
    file.write_text(json.dumps(list(map(for_peer, CLIENTS.values()))))
    process = processes.start("oidc-provider", "node", str(package / "peer.mjs"), str(side.port), str(file))
    processes.until(process, "connection", lambda: accepts(side.port))
    return side
