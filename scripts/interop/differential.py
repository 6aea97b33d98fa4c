"""Both servers asked the same, and every difference held against docs/differences.md.

A difference that the document does not list fails the run, and so does one that it lists and that is gone. Compared are status, error
code, challenge, what a token was given for, and, once for all answers of a kind, what their headers and members are.
"""

import dataclasses
import json
import re
import time

import rows
from sides import API, SCOPES, Answer, Side

ABSENT = "none"
# For whom the RFC speaks.
RIGHT = ["jeton", "oidc-provider", "both"]


@dataclasses.dataclass(frozen=True)
class Difference:
    """Where, and what each of the two did there."""

    row: str
    jeton: str
    peer: str


def compare(jeton: Side, peer: Side) -> tuple[int, list[Difference]]:
    """How many requests both were sent, and where they differ."""
    until_it_remembers(jeton)
    for side in (jeton, peer):
        side.get_tokens()
    asked, found = rows.all_rows(), []
    for row in asked:
        ours, theirs = (side.send(row.build(side)) for side in (jeton, peer))
        told = outcome(row, jeton, ours), outcome(row, peer, theirs)
        if told[0] != told[1]:
            found.append(Difference(row.name, *told))
        # What differs in general is told once, and only of answers that are alike.
        elif not row.member:
            mine, other = traits(row, ours), traits(row, theirs)
            found += [Difference(name, mine[name], other[name]) for name in mine if mine[name] != other[name]]
    return len(asked), list(dict.fromkeys(found))


def listed(document: str) -> list[tuple[Difference, str]]:
    """What the tables list, and for whom the RFC speaks: `| asked | jeton | oidc-provider | right | why |`; `asked` may name several."""
    found = []
    for number, line in enumerate(document.splitlines(), 1):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or cells[0] == "asked" or set(line) <= set("|-"):
            continue
        if len(cells) != 5 or cells[3] not in RIGHT or not cells[4]:
            raise SystemExit(f"differences.md:{number}: no row of five cells with {', '.join(RIGHT)} in the fourth, and a reason")
        found += [(Difference(name, cells[1], cells[2]), cells[3]) for name in cells[0].split("<br>")]
    return found


def judge(asked: int, found: list[Difference], document: str, readme: str, version: str) -> list[str]:
    """What was found and is not listed, what is listed and was not found, and what else the document says that is not so."""
    known = listed(document)
    differences = [one for one, _ in known]
    faults = [f"not listed: | {one.row} | {one.jeton} | {one.peer} |" for one in found if one not in differences]
    faults += [f"listed, and gone: | {one.row} | {one.jeton} | {one.peer} |" for one in differences if one not in found]
    faults += [f"listed twice: {row}" for row in sorted({one.row for one in differences if differences.count(one) > 1})]
    for_jeton, for_peer, for_both = ([right for _, right in known].count(whom) for whom in RIGHT)
    said = [f"with {version.replace('oidc-provider', 'version')}", f"{asked} good, bad and odd ones"]
    said.append(f"Of {len(known)} differences the RFC speaks for jeton in {for_jeton} and for oidc-provider in {for_peer}; in {for_both}")
    plain = " ".join(document.split())
    faults += [f"differences.md does not say: {words}" for words in said if words not in plain]
    return faults + ([] if f"{asked} requests" in readme else [f"README.md does not say: {asked} requests"])


def until_it_remembers(jeton: Side):
    """Waits until it can tell that a proof, made some seconds ago, is new: of those from before its start nobody knows, and it says 503."""
    deadline = time.monotonic() + 60
    while jeton.send(rows.by_proof(rows.proof(jeton, {"iat": -3}))).status == 503:
        if time.monotonic() > deadline:
            raise SystemExit("jeton takes no proof")
        time.sleep(0.1)


def outcome(row: rows.Row, side: Side, answer: Answer) -> str:
    """An answer in a few words. Of a token it is told what is not as usual."""
    body = answer.json()
    if row.member:
        return json.dumps(body.get(row.member)).replace('"', "")
    words = [str(answer.status)]
    if "error" in body:
        words.append(body["error"])
    elif "access_token" in body:
        words.append("token" if body["token_type"] == "Bearer" else f"{body['token_type']} token")
        if body.get("scope") != SCOPES[0]:
            words.append(f"of {body.get('scope') or 'no scope'}")
        if (aud := side.audience(body["access_token"])) != API:
            words.append(f"for {aud if isinstance(aud, str) else ' and '.join(aud)}")
    elif "active" in body:
        words.append("active" if body["active"] else "inactive")
    elif "issuer" in body:
        words.append("metadata")
    elif answer.body:
        words.append("and text")
    if challenges := re.findall(r"\b(Basic|Bearer|DPoP) ", answer.headers.get("www-authenticate", "")):
        words.append(f"with challenge {' and '.join(challenges)}")
    return " ".join(words)


KINDS = {"I": "introspection", "V": "revocation", "M": "metadata", "H03": "metadata"}


def traits(row: rows.Row, answer: Answer) -> dict[str, str]:
    """What holds of all answers of a kind, by the name of that kind."""
    body, headers = answer.json(), answer.headers
    kind = next((kind for id, kind in KINDS.items() if row.id.startswith(id)), "tokens") if answer.status < 400 else "errors"
    form = "JSON" if body or kind == "metadata" else "no body"
    found = {f"{form}: content-type": headers.get("content-type", ABSENT)}
    found |= {f"{kind}: {name}": headers.get(name, ABSENT) for name in ("cache-control", "pragma")}
    if kind == "introspection" and body.get("active"):
        found["introspection: members"] = " ".join(sorted(body))
    if kind == "tokens":
        found["tokens: members"] = " ".join(sorted(body))
    return found
