"""What both servers are asked: good requests, bad ones and odd ones. A row's id and words are those of `tests/it/conformance/rows/`.

`{billing}` and the like in a row stand for tokens of the server that is asked, `{issuer}` for its URL, `{fresh}` for a token of its own.
"""

import base64
import dataclasses
import secrets
from collections.abc import Callable

import jwskate
from sides import API, CLIENTS, FORM, GRANT, ODD_SECRET, ODDER_SECRET, OTHER, SIGNING_KEY, Request, Side, basic, post, raw_basic
from sides import INTROSPECT, METADATA, REVOKE, TOKEN

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SCOPED = f"{GRANT}&scope=invoices:read"
WRONG = "wrong-0123456789-0123456789-0123456789-0123"


@dataclasses.dataclass(frozen=True)
class Row:
    """One request. With `member` it is that member of the answer which is looked at."""

    id: str
    case: str
    build: Callable[[Side], Request]
    member: str | None = None

    @property
    def name(self) -> str:
        return f"{self.id} {self.case}"


def row(id: str, case: str, request: Request, member: str | None = None) -> Row:
    return Row(id, case, lambda side: put_in(request, side), member)


def put_in(request: Request, side: Side) -> Request:
    """The request with what stands in braces replaced."""
    known = {**side.tokens, "issuer": side.issuer}
    if b"{fresh}" in request.body:
        known["fresh"] = side.fresh("billing")
    body, target = request.body, request.target
    for name, value in known.items():
        body, target = body.replace(f"{{{name}}}".encode(), value.encode()), target.replace(f"{{{name}}}", value)
    return dataclasses.replace(request, body=body, target=target)


def ask(form: str | bytes, client_id: str = "billing", **options) -> Request:
    return post(TOKEN, form, basic(client_id), **options)


def introspect(form: str | bytes, client_id: str = "orders-api") -> Request:
    return post(INTROSPECT, form, basic(client_id))


def revoke(form: str | bytes) -> Request:
    return post(REVOKE, form, basic("billing"))


def all_rows() -> list[Row]:
    parts = [of_http, of_parameters, of_authentication, of_tokens, of_resources]
    parts += [of_introspection, of_revocation, of_metadata, of_assertions, of_proofs]
    return [row for part in parts for row in part()]


def of_http() -> list[Row]:
    """Section 1 there: what HTTP asks of every endpoint."""
    rows = [row("H01", f"{method} {path}", Request(method, path)) for path in (TOKEN, INTROSPECT, REVOKE) for method in ("GET", "PUT", "DELETE")]
    rows += [row("H02", "unknown path", Request("GET", "/unknown")), row("H02", "POST to an unknown path", post("/unknown", GRANT))]
    rows += [row("H03", "POST on the metadata", Request("POST", METADATA)), row("H03", "HEAD on the metadata", Request("HEAD", METADATA))]
    kinds = {
        "H05": [f"{FORM}; charset=UTF-8", f'{FORM};charset="utf-8"', "APPLICATION/X-WWW-Form-URLencoded"],
        "H06": [f"{FORM}; charset=iso-8859-1"],
    }
    rows += [row(id, kind, ask(SCOPED, kind=kind)) for id, found in kinds.items() for kind in found]
    multipart = '--b\r\nContent-Disposition: form-data; name="grant_type"\r\n\r\nclient_credentials\r\n--b--\r\n'
    compressed = post(TOKEN, SCOPED, basic("billing"), ("Content-Encoding", "gzip"))
    return rows + [
        row("H04", "JSON", ask('{"grant_type":"client_credentials"}', kind="application/json")),
        row("H07", "no type and no body", ask("", kind=None)),
        row("H08", "multipart", ask(multipart, kind="multipart/form-data; boundary=b")),
        row("H09", "a body of 100 KiB", ask(f"{SCOPED}&a={'b' * 100 * 1024}")),
        row("H18", "a body that is said to be compressed", compressed),
    ]


def of_parameters() -> list[Row]:
    """Section 2: parameters (RFC 6749 sections 3.1 and 3.2, appendix B)."""
    twice = [f"{GRANT}&{GRANT}", f"{SCOPED}&scope=invoices:read", f"{GRANT}&client_id=billing&client_id=billing"]
    rows = [row("P01", f"{name} twice", ask(form)) for name, form in zip(("grant_type", "scope", "client_id"), twice)]
    bad = {"%zz": b"%zz", "%ff": b"%ff", "%00": b"%00", "a raw byte that is no UTF-8": b"\xff"}
    rows += [row("P09", f"{name} in scope", ask(f"{GRANT}&scope=".encode() + value)) for name, value in bad.items()]
    rows += [row("P09", f"{name} in a token", introspect(b"token=" + value)) for name, value in bad.items()]
    secret = CLIENTS["billing"].secret
    in_query = post(f"{TOKEN}?client_id=billing&client_secret={secret}", GRANT)
    return rows + [
        row("P01", "token twice, at introspection", introspect("token={billing}&token={billing}")),
        row("P01", "token twice, at revocation", revoke("token={fresh}&token={fresh}")),
        row("P03", "foo", ask(f"foo=bar&{SCOPED}")),
        row("P04", "foo twice", ask(f"foo=bar&{SCOPED}&foo=bar")),
        row("P05", "scope=", ask(f"{GRANT}&scope=")),
        row("P06", "client_secret= beside Basic", ask(f"{SCOPED}&client_secret=")),
        row("P07", "grant_type=", ask("grant_type=")),
        row("P08", "escapes and +", ask("gr%61nt_type=client%5Fcredentials&scope=invoices%3Aread+invoices:write")),
        row("P10", "client_secret in the query", in_query),
        row("P10", "token in the query", post(f"{INTROSPECT}?token={{billing}}", "", basic("orders-api"))),
        row("P10", "access_token in the query", post(f"{TOKEN}?access_token=x", SCOPED, basic("billing"))),
        row("P10", "grant_type in the query alone", post(f"{TOKEN}?{GRANT}", "", basic("billing"))),
        row("P11", "a query of its own", post(f"{TOKEN}?tenant=acme", SCOPED, basic("billing"))),
        row("P12", "65 parameters", ask(f"{SCOPED}{''.join(f'&a{i}=b' for i in range(63))}")),
        row("P12", "a value of 8 KiB and 1", ask(f"{SCOPED}&a={'b' * 8193}")),
        row("P13", "Grant_Type", ask("Grant_Type=client_credentials")),
    ]


def of_authentication() -> list[Row]:
    """Section 3: client authentication (RFC 6749 sections 2.3 and 5.2)."""
    secret, post_secret, api_secret = (CLIENTS[name].secret for name in ("billing", "post-worker", "orders-api"))
    right = raw_basic(f"billing:{secret}")[1]
    headers = {
        "A04 basic": right.replace("Basic", "basic"),
        "A04 two spaces": right.replace(" ", "  "),
        "A04 garbage behind": f"{right} garbage",
        "A05 no base64": "Basic !x!",
        "A05 no colon": f"Basic {base64.b64encode(b'billing').decode()}",
        "A05 nothing behind Basic": "Basic",
        "A05 an empty id": raw_basic(":x")[1],
        "A05 an empty secret": raw_basic("billing:")[1],
        "A20 Bearer": "Bearer x",
        "A20 a scheme nobody knows": "Other x",
    }
    rows = [row(*name.split(" ", 1), post(TOKEN, SCOPED, ("Authorization", value))) for name, value in headers.items()]
    in_body = f"{SCOPED}&client_id=post-worker&client_secret="
    return rows + [
        row("A01", "Basic", ask(SCOPED)),
        row("A01", "in the body", post(TOKEN, in_body + post_secret)),
        row("A02", "form-encoded a+b c%:", post(TOKEN, SCOPED, basic("odd"))),
        row("A02", "form-encoded a+b c%:ü", post(TOKEN, SCOPED, basic("odder"))),
        row("A03", "raw a+b c%:", post(TOKEN, SCOPED, raw_basic(f"odd:{ODD_SECRET}"))),
        row("A03", "raw a+b c%:ü", post(TOKEN, SCOPED, raw_basic(f"odder:{ODDER_SECRET}"))),
        row("A06", "a wrong secret", post(TOKEN, SCOPED, basic("billing", WRONG))),
        row("A06", "a wrong secret, at introspection", post(INTROSPECT, "token={billing}", basic("orders-api", WRONG))),
        row("A06", "a wrong secret, at revocation", post(REVOKE, "token={billing}", basic("billing", WRONG))),
        row("A07", "an unknown client", post(TOKEN, SCOPED, basic("nobody", WRONG))),
        row("A08", "a wrong secret in the body", post(TOKEN, in_body + WRONG)),
        row("A08", "an unknown client in the body", post(TOKEN, f"{SCOPED}&client_id=nobody&client_secret={WRONG}")),
        row("A09", "nothing", post(TOKEN, SCOPED)),
        row("A09", "client_id alone", post(TOKEN, f"{SCOPED}&client_id=billing")),
        row("A09", "client_secret alone", post(TOKEN, f"{SCOPED}&client_secret=x")),
        row("A10", "Basic and the body, both right", ask(f"{SCOPED}&client_id=billing&client_secret={secret}")),
        row("A10", "Basic and another secret in the body", ask(f"{SCOPED}&client_secret=x")),
        row("A10", "Basic and the body, at introspection", introspect(f"token={{billing}}&client_id=orders-api&client_secret={api_secret}")),
        row("A11", "Basic and an assertion", ask(f"{SCOPED}&client_assertion_type={JWT_BEARER}&client_assertion=x")),
        row("A12", "Basic, and another client_id", ask(f"{SCOPED}&client_id=reporting")),
        row("A13", "Basic, and the same client_id", ask(f"{SCOPED}&client_id=billing")),
        row("A14", "in the body where Basic is registered", post(TOKEN, f"{SCOPED}&client_id=billing&client_secret={secret}")),
        row("A14", "Basic where the body is registered", ask(SCOPED, "post-worker")),
        row("A16", "a client without this grant", ask(SCOPED, "orders-api")),
        row("A21", "two headers", post(TOKEN, SCOPED, basic("billing"), basic("billing"))),
    ]


def of_tokens() -> list[Row]:
    """Section 4: token request and response (RFC 6749 sections 3.3, 4.4, 5.1 and 5.2)."""
    scoped = {
        "K01": {"a token": "invoices:read"},
        "K07": {
            "two scopes": "invoices:read%20invoices:write",
            "in another order": "invoices:write%20invoices:read",
            "twice the same": "invoices:read%20invoices:read",
        },
        "K08": {"an unknown scope": "unknown", "one of two unknown": "invoices:read%20unknown"},
        "K09": {
            "a quote": "invoices:read%22",
            "a backslash": "invoices%5Cread",
            "a control character": "invoices%01read",
            "no ASCII": "invoices%C3%A9",
            "a leading space": "%20invoices:read",
            "a trailing space": "invoices:read%20",
            "two spaces": "invoices:read%20%20invoices:write",
        },
        "P13": {"another case": "INVOICES:READ"},
    }
    rows = [row(id, case, ask(f"{GRANT}&scope={scope}")) for id, cases in scoped.items() for case, scope in cases.items()]
    unsupported = ["authorization_code", "password", "refresh_token", "unknown", "CLIENT_CREDENTIALS"]
    rows += [row("K06", grant_type, ask(f"grant_type={grant_type}&code=x&username=x&password=x&refresh_token=x")) for grant_type in unsupported]
    return rows + [
        row("K05", "no grant_type", ask("scope=invoices:read")),
        row("K05", "an empty form", ask("")),
        row("K06", "an unknown client asks for an unknown grant", post(TOKEN, "grant_type=unknown")),
        row("K10", "no scope", ask(GRANT)),
        row("K16", "access_token in the body beside Basic", ask(f"{SCOPED}&access_token=x")),
    ]


def of_resources() -> list[Row]:
    """Section 10: resource indicators (RFC 8707), and `audience`."""
    cases = {
        "R01 another than the default": f"resource={OTHER}",
        "R01 the same twice": f"resource={API}&resource={API}",
        "R02 a fragment": f"resource={API}%23x",
        "R02 a relative one": "resource=/v1",
        "R02 an empty one": "resource=",
        "R02 a name": "resource=orders",
        "R03 unknown": "resource=https://unknown.example",
        "R03 one more slash": f"resource={API}/",
        "R04 two": f"resource={API}&resource={OTHER}",
        "R05 audience": f"audience={OTHER}",
        "R05 an unknown audience": "audience=unknown",
    }
    return [row(*name.split(" ", 1), ask(f"{SCOPED}&{asked}")) for name, asked in cases.items()]


def of_introspection() -> list[Row]:
    """Section 5: introspection (RFC 7662)."""
    hints = ["access_token", "refresh_token", "foo", ""]
    rows = [row("I08", f"token_type_hint={hint}", introspect(f"token={{billing}}&token_type_hint={hint}")) for hint in hints]
    inactive = {"unknown": "{unknown}", "revoked": "{revoked}", "a word": "word", "a space": "+", "no ASCII": "%C3%A9"}
    rows += [row("I06", case, introspect(f"token={token}")) for case, token in inactive.items()]
    return rows + [
        row("I01", "a live token", introspect("token={billing}")),
        row("I03", "nobody asks", post(INTROSPECT, "token={billing}")),
        row("I05", "by a Bearer token", post(INTROSPECT, "token={billing}", ("Authorization", "Bearer x"))),
        row("I07", "no token", introspect("")),
        row("I07", "token=", introspect("token=")),
        row("I09", "by an API of another audience", introspect("token={billing}", "elsewhere-api")),
        row("I09", "by its own client", introspect("token={billing}", "billing")),
        row("I09", "by another client", introspect("token={billing}", "reporting")),
        row("I12", "like a JWT", introspect("token=eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.")),
        row("I12", "of 6 KiB", introspect(f"token={'a' * 6 * 1024}")),
    ]


def of_revocation() -> list[Row]:
    """Section 6: revocation (RFC 7009)."""
    hints = ["refresh_token", "foo"]
    preflight = [("Origin", "https://other.example"), ("Access-Control-Request-Method", "POST")]
    rows = [row("V06", f"token_type_hint={hint}", revoke(f"token={{fresh}}&token_type_hint={hint}")) for hint in hints]
    ended = {"unknown": "{unknown}", "revoked": "{revoked}", "a word": "word"}
    rows += [row("V02", case, revoke(f"token={token}")) for case, token in ended.items()]
    return rows + [
        row("V01", "its own", revoke("token={fresh}")),
        row("V03", "another client's", revoke("token={reporting}")),
        row("V04", "no token", revoke("")),
        row("V05", "nobody", post(REVOKE, "token={billing}")),
        row("V05", "a Bearer token", post(REVOKE, "token={billing}", ("Authorization", "Bearer {billing}"))),
        row("V07", "like a JWT", revoke("token=eyJhbGciOiJub25lIn0.e30.")),
        row("V11", "a preflight", Request("OPTIONS", REVOKE, headers=preflight)),
    ]


def of_metadata() -> list[Row]:
    """Section 7: metadata (RFC 8414)."""
    members = {
        "M05": ["grant_types_supported"],
        "M06": ["response_types_supported"],
        "M07": [f"{endpoint}_endpoint_auth_methods_supported" for endpoint in ("token", "introspection", "revocation")],
        "M08": ["token_endpoint_auth_signing_alg_values_supported", "dpop_signing_alg_values_supported"],
    }
    rows = [row(id, name, Request("GET", METADATA), name) for id, names in members.items() for name in names]
    places = [METADATA, "/.well-known/oauth-authorization-server"]
    return rows + [row("M01", f"GET {place}", Request("GET", place)) for place in places]


def of_assertions() -> list[Row]:
    """Section 8: private_key_jwt (RFC 7521, 7523)."""
    now = jwskate.Jwt.timestamp
    changes: dict[str, Callable[[dict, Side], dict]] = {
        "W01 right": lambda claims, side: claims,
        "W04 another iss": lambda claims, side: claims | {"iss": "billing"},
        "W04 another sub": lambda claims, side: claims | {"sub": "billing"},
        "W05 aud: the token endpoint": lambda claims, side: claims | {"aud": f"{side.issuer}{TOKEN}"},
        "W05 aud: the issuer in an array": lambda claims, side: claims | {"aud": [side.issuer]},
        "W05 aud: the issuer and another": lambda claims, side: claims | {"aud": [side.issuer, "https://other.example"]},
        "W05 aud: another": lambda claims, side: claims | {"aud": "https://other.example"},
        "W06 exp past": lambda claims, side: claims | {"exp": now() - 60},
        "W06 exp in 15 minutes": lambda claims, side: claims | {"exp": now() + 900},
        "W06 exp in a day": lambda claims, side: claims | {"exp": now() + 86_400},
        "W06 no exp": lambda claims, side: without(claims, "exp"),
        "W07 nbf ahead": lambda claims, side: claims | {"nbf": now() + 60},
        "W07 iat ahead": lambda claims, side: claims | {"iat": now() + 60},
        "W08 no jti": lambda claims, side: without(claims, "jti"),
        "W09 used before": lambda claims, side: claims | {"jti": used(side)},
    }
    rows = [Row(*name.split(" ", 1), lambda side, change=change: by_assertion(change(usual(side), side))) for name, change in changes.items()]
    typed = {"W12 typ client-authentication+jwt": "client-authentication+jwt", "W12 typ dpop+jwt": "dpop+jwt"}
    rows += [Row(*name.split(" ", 1), lambda side, typ=typ: by_assertion(usual(side), typ=typ)) for name, typ in typed.items()]
    return rows + [
        row("W02", "no client_assertion_type", post(TOKEN, f"{GRANT}&client_id=signer&client_assertion=x")),
        Row("W03", "another client_id in the form", lambda side: by_assertion(usual(side), client_id="billing")),
        Row("W11", "another key's signature", lambda side: by_assertion(usual(side), key=jwskate.Jwk.generate(alg="ES256", kid="signer"))),
        Row("W11", "alg none", lambda side: by_assertion(usual(side), key=None)),
    ]


def usual(side: Side) -> dict:
    now = jwskate.Jwt.timestamp()
    return {"iss": "signer", "sub": "signer", "aud": side.issuer, "iat": now, "exp": now + 60, "jti": secrets.token_urlsafe(16)}


def without(claims: dict, name: str) -> dict:
    return {known: value for known, value in claims.items() if known != name}


def used(side: Side) -> str:
    """A `jti` that was good once."""
    claims = usual(side)
    assert side.send(by_assertion(claims)).status == 200
    return claims["jti"]


def by_assertion(claims: dict, key: jwskate.Jwk | None = SIGNING_KEY, client_id: str = "signer", typ: str | None = None) -> Request:
    unsigned = jwskate.Jwt.unprotected(claims)
    signed = jwskate.Jwt.sign(claims, key=key, alg="ES256", typ=typ) if key else unsigned
    return post(TOKEN, f"{SCOPED}&client_id={client_id}&client_assertion_type={JWT_BEARER}&client_assertion={signed}")


def of_proofs() -> list[Row]:
    """Section 10: DPoP (RFC 9449)."""
    now = jwskate.Jwt.timestamp
    changes: dict[str, dict] = {
        "D01 right": {},
        "D02 another htm": {"htm": "GET"},
        "D02 another htu": {"htu": "https://other.example/oauth2/token"},
        "D02 no jti": {"jti": None},
        "D02 no iat": {"iat": None},
        "D02 a second old": {"iat": -1},
        "D02 two minutes old": {"iat": -120},
        "D02 a minute ahead": {"iat": 60},
        "D02 ten minutes old": {"iat": -600},
        "D03 htu with a query": {"htu": "{issuer}/oauth2/token?a=b"},
        "D03 htu in capitals": {"htu": "HTTP{host}/oauth2/token"},
    }
    rows = [Row(*name.split(" ", 1), lambda side, change=change: by_proof(proof(side, change))) for name, change in changes.items()]
    return rows + [
        Row("D02", "typ JWT", lambda side: by_proof(proof(side, {}, typ="JWT"))),
        Row("D02", "no JWT", lambda side: by_proof("x")),
        Row("D02", "two of them", lambda side: by_proof(proof(side, {}), proof(side, {}))),
        Row("D05", "used before", lambda side: by_proof(proof_used(side))),
    ]


def proof(side: Side, changes: dict, typ: str = "dpop+jwt") -> str:
    """A proof by a key of its own. `iat` is changed by so many seconds; what is changed to None is left out."""
    claims = {"jti": secrets.token_urlsafe(16), "htm": "POST", "htu": f"{side.issuer}{TOKEN}", "iat": jwskate.Jwt.timestamp()}
    for name, value in changes.items():
        if isinstance(value, str):
            value = value.replace("{issuer}", side.issuer).replace("{host}", side.issuer.removeprefix("http"))
        claims[name] = claims["iat"] + value if isinstance(value, int) else value
    key = jwskate.Jwk.generate(alg="ES256")
    given = {name: value for name, value in claims.items() if value is not None}
    return str(jwskate.SignedJwt.sign(given, key=key, alg="ES256", typ=typ, extra_headers={"jwk": key.public_jwk()}))


def proof_used(side: Side) -> str:
    """One that was good once."""
    made = proof(side, {})
    assert side.send(by_proof(made)).status == 200
    return made


def by_proof(*proofs: str) -> Request:
    return post(TOKEN, SCOPED, basic("billing"), *(("DPoP", one) for one in proofs))
