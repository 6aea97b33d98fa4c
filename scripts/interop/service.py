"""The services under test: one jeton for each store, with TLS on both listeners, and with nonces of DPoP on or off."""

import pathlib
import secrets
import ssl
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import jwskate
from processes import Processes, answers, free_port
from scene import Client

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# A busy machine may be slow: no test here is about time.
PATIENCE_MS = 20_000


class Service:
    """One jeton and where it listens."""

    def __init__(self, column: str, store: str, nonces: bool):
        # `column`: which of the report is its.
        self.column, self.store, self.nonces = column, store, nonces
        self.with_nonces = ", with nonces" if nonces else ""
        self.name = f"jeton-{column}{'-nonces' if nonces else ''}"
        self.public, self.mtls, self.admin = free_port(), free_port(), free_port()
        self.issuer = f"https://127.0.0.1:{self.public}"

    def configuration(self) -> str:
        return f"""issuer = "{self.issuer}"

[public]
listen = "127.0.0.1:{self.public}"
workers = 2

[public.tls]
certificate_file = "server.crt"
private_key_file = "server.key"

[mtls]
listen = "127.0.0.1:{self.mtls}"
client_ca_file = "ca.crt"

[admin]
listen = "127.0.0.1:{self.admin}"

[store]
url = "{self.store}"
operation_timeout_ms = {PATIENCE_MS // 2}

[tokens]
require_dpop_nonce = {str(self.nonces).lower()}

[keys]
file = "jeton.keys"

[limits]
request_deadline_ms = {PATIENCE_MS}
wrong_proofs_per_minute = 200
drain_delay_ms = 0
"""

    def start(self, processes: Processes, program: pathlib.Path):
        """Starts it and waits until it is ready."""
        file = processes.folder / f"{self.name}.toml"
        file.write_text(self.configuration())
        process = processes.start(self.name, str(program), "serve", "--config", str(file))
        processes.until(process, "readiness", lambda: answers(f"http://127.0.0.1:{self.admin}/health/ready"))
        self.process = process

    def until_it_remembers(self, processes: Processes, signer: Client):
        """Waits until it can tell that an assertion is new: of those from before its start, nobody knows, and it says 503."""
        trusting = ssl.create_default_context(cafile=processes.folder / "ca.crt")

        def takes_one() -> bool:
            form = {"grant_type": "client_credentials", **proof(signer, self.issuer)}
            asking = urllib.request.Request(f"{self.issuer}/oauth2/token", urllib.parse.urlencode(form).encode())
            try:
                return urllib.request.urlopen(asking, context=trusting, timeout=20).status == 200
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise
                return False

        processes.until(self.process, "token for an assertion", takes_one)


def proof(signer: Client, audience: str) -> dict[str, str]:
    """The two parameters by which a client that signs proves itself (RFC 7523 section 2.2)."""
    now = jwskate.Jwt.timestamp()
    claims = {"iss": signer.client_id, "sub": signer.client_id, "aud": audience, "iat": now, "exp": now + 60}
    claims["jti"] = secrets.token_urlsafe(16)
    assertion = jwskate.Jwt.sign(claims, key=signer.private_jwk, alg=signer.alg)
    return {"client_assertion_type": JWT_BEARER, "client_assertion": str(assertion)}


def make_keys(program: pathlib.Path, folder: pathlib.Path):
    """The service keys, which all of them share."""
    subprocess.run([program, "keys", "generate", folder / "jeton.keys"], check=True, capture_output=True)
