"""requests-oauth2client: whatever it can do of what jeton serves, done as its documentation says."""

import importlib.metadata
from collections.abc import Callable

import requests
import requests_oauth2client as library
from report import UNSPOKEN, Line, Report
from scene import ALGORITHMS, API, ORDERS, SCOPE, Client, Scene
from service import Service

NAME = f"requests-oauth2client {importlib.metadata.version('requests_oauth2client')}"
# Its JOSE knows the algorithm as EdDSA alone.
UNSPOKEN_ALGORITHMS = ["Ed25519"]
WELL_KNOWN = ["openid-configuration", "oauth-authorization-server"]


class Run:
    """All of it, with one service."""

    def __init__(self, report: Report, scene: Scene, service: Service):
        self.report, self.scene, self.service = report, scene, service
        self.orders_api = self.client(scene.resource_server)

    def attempt(self, method: str, what: str, do: Callable[[], None]):
        self.report.attempt(self.service.column, Line(NAME, method, what), do)

    def everything(self):
        """Every method, then what does not depend on one."""
        for client in self.scene.clients:
            if client.alg in UNSPOKEN_ALGORITHMS:
                self.report.note(self.service.column, Line(NAME, client.label, "not spoken by this library"), UNSPOKEN)
                continue
            self.attempt(client.label, "token, introspection, revocation, inactive", lambda: self.life(client))
            self.attempt(client.label, "wrong proof: its InvalidClient", lambda: self.wrong_proof(client))
        for document in WELL_KNOWN:
            self.attempt("discovery", f"/.well-known/{document}", lambda: self.discovery(document))
        self.attempt("resource, audience", "aud as asked for", self.targets)
        self.attempt("resource, scope", "unknown ones: its InvalidTarget, InvalidScope", self.unknown)
        self.proofs()

    def proofs(self):
        """Tokens bound to a key (RFC 9449)."""
        for alg in ALGORITHMS:
            method = f"DPoP {alg}{self.service.with_nonces}"
            if alg in UNSPOKEN_ALGORITHMS:
                self.report.note(self.service.column, Line(NAME, method, "not spoken by this library"), UNSPOKEN)
            else:
                self.attempt(method, "bound token, introspection, revocation, inactive", lambda: self.bound(alg))
        self.attempt(f"DPoP{self.service.with_nonces}", "none where one is needed: invalid_dpop_proof", self.no_proof)

    def session(self) -> requests.Session:
        """Which believes the authority of this run, and no variable of the environment."""
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.scene.folder / "ca.crt")
        return session

    def client(self, client: Client, secret: str | None = None, key: dict | None = None, shown: str | None = None) -> library.OAuth2Client:
        """The library's client for this method; or with another secret, key or certificate than its own."""
        auth = {
            "client_secret_basic": lambda: library.ClientSecretBasic(client.client_id, secret or client.client_secret),
            "client_secret_post": lambda: library.ClientSecretPost(client.client_id, secret or client.client_secret),
            "private_key_jwt": lambda: library.PrivateKeyJwt(client.client_id, key or client.private_jwk, alg=client.alg),
            # "client_id" and nothing else in the form (RFC 8705 section 2): what it calls a public application sends that.
            "tls_client_auth": lambda: library.PublicApp(client.client_id),
            "self_signed_tls_client_auth": lambda: library.PublicApp(client.client_id),
        }[client.method]()
        session = self.session()
        metadata = session.get(f"{self.service.issuer}/.well-known/oauth-authorization-server").json()
        if client.certificate:
            session.cert = tuple(str(self.scene.folder / f"{shown or client.certificate}.{end}") for end in ("crt", "key"))
            # It knows no aliases of endpoints (RFC 8705 section 5): whoever uses it puts them in.
            metadata |= metadata["mtls_endpoint_aliases"]
        return library.OAuth2Client.from_discovery_document(metadata, issuer=self.service.issuer, auth=auth, session=session)

    def life(self, client: Client):
        """A token is issued, seen by who serves the API and by its own client, given back, and then inactive to both."""
        ours = self.client(client)
        token = ours.client_credentials(scope=SCOPE)
        assert token.token_type == "Bearer" and token.expires_in > 3500 and token.scope == SCOPE, token.as_dict()
        cnf = {"x5t#S256": client.thumbprint} if client.thumbprint else None
        self.is_active(ours, token, client, "Bearer", cnf)
        self.ends(ours, token)

    def is_active(self, ours: library.OAuth2Client, token, client: Client, token_type: str, cnf: dict | None):
        expected = {"active": True, "client_id": client.client_id, "sub": client.client_id, "scope": SCOPE, "aud": API}
        expected |= {"iss": self.service.issuer, "token_type": token_type, "cnf": cnf}
        for asker in (self.orders_api, ours):
            seen = asker.introspect_token(token)
            assert expected == {name: seen.get(name) for name in expected}, seen

    def ends(self, ours: library.OAuth2Client, token):
        assert ours.revoke_access_token(token) is True
        for asker in (self.orders_api, ours):
            seen = asker.introspect_token(token)
            assert seen == {"active": False}, seen
        # "Invalid tokens do not cause an error response" (RFC 7009 section 2.2).
        assert ours.revoke_access_token(token) is True

    def wrong_proof(self, client: Client):
        """Another's secret, key or certificate, at each endpoint."""
        key = dict(ALGORITHMS[client.alg](client.private_jwk["kid"])) if client.alg else None
        wrong = self.client(client, secret="guessed", key=key, shown="stranger")
        refused("invalid_client", library.exceptions.InvalidClient, wrong.client_credentials)
        refused("invalid_client", library.exceptions.InvalidClient, lambda: wrong.introspect_token("a-token"))
        refused("invalid_client", library.exceptions.InvalidClient, lambda: wrong.revoke_token("a-token"))

    def discovery(self, document: str):
        """From the URL alone to a token."""
        worker = self.scene.clients[0]
        auth = library.ClientSecretBasic(worker.client_id, worker.client_secret)
        url = f"{self.service.issuer}/.well-known/{document}"
        ours = library.OAuth2Client.from_discovery_endpoint(url, issuer=self.service.issuer, auth=auth, session=self.session())
        self.ends(ours, ours.client_credentials())

    def targets(self):
        """RFC 8707, and the name by which others ask for the same."""
        ours = self.client(self.scene.clients[0])
        for asked, aud in [({"resource": API}, API), ({"audience": ORDERS}, ORDERS), ({"resource": API, "audience": ORDERS}, [API, ORDERS])]:
            seen = self.orders_api.introspect_token(ours.client_credentials(**asked))
            assert seen["aud"] == aud, seen

    def unknown(self):
        ours = self.client(self.scene.clients[0])
        refused("invalid_target", library.InvalidTarget, lambda: ours.client_credentials(resource="https://unknown.example"))
        refused("invalid_target", library.InvalidTarget, lambda: ours.client_credentials(audience="unknown"))
        refused("invalid_scope", library.InvalidScope, lambda: ours.client_credentials(scope="unknown"))

    def bound(self, alg: str):
        """To a key that the library made, whose thumbprint it says itself. Where nonces are asked for it learns them from refusals."""
        key = library.DPoPKey.generate(alg=alg)
        client = self.scene.dpop
        ours = self.client(client)
        # A second one has the nonce from the start.
        for _ in range(2):
            token = ours.client_credentials(scope=SCOPE, dpop_key=key)
            assert isinstance(token, library.DPoPToken) and token.token_type == "DPoP", token
            assert bool(key.as_nonce) == self.service.nonces, key.as_nonce
            self.is_active(ours, token, client, "DPoP", {"jkt": key.dpop_jkt})
            self.ends(ours, token)

    def no_proof(self):
        # It has no exception of its own for this code.
        ours = self.client(self.scene.dpop)
        refused("invalid_dpop_proof", library.exceptions.UnknownTokenEndpointError, ours.client_credentials)


def refused(code: str, exception: type[Exception], do: Callable[[], object]):
    """The library must raise this of its exceptions, with this code of RFC 6749 section 5.2."""
    try:
        answer = do()
    except exception as error:
        assert error.error == code and error.description, error
    else:
        raise AssertionError(f"not refused: {answer}")
