//! Section 6: revocation (RFC 7009).

use crate::conformance::row::Check::{Header, NoHeader};
use crate::conformance::row::{Row, ask, revoke, row};
use crate::harness::Request;
use crate::harness::clients::secret_of;
use crate::harness::request::{REVOKE, TOKEN, form};

pub(crate) fn rows() -> Vec<Row> {
    let in_body = form(&[("client_id", "billing"), ("client_secret", &secret_of("billing"))]);
    let wrong = "canary-0123456789-0123456789-0123456789-0123";
    let mut rows = vec![
        row("V01", "its own", revoke("token={fresh}")).revoked(),
        row("V01", "its own, credentials in the body", Request::form(REVOKE, format!("token={{fresh}}&{in_body}")))
            .revoked(),
        row("V03", "another client's", revoke("token={reporting}")).error("unauthorized_client"),
        row("V04", "no token", revoke("")).error("invalid_request"),
        row("V04", "an empty token", revoke("token=")).error("invalid_request"),
        row("V05", "nobody", Request::form(REVOKE, "token={billing}")).unauthorized(),
        row("V05", "a wrong secret", Request::form(REVOKE, "token={billing}").basic("billing", wrong)).unauthorized(),
        row("V05", "a bearer", Request::form(REVOKE, "token={billing}").bearer("{billing}")).unauthorized(),
        row("V06", "refresh_token", revoke("token={fresh}&token_type_hint=refresh_token")).revoked(),
        row("V06", "foo", revoke("token={fresh}&token_type_hint=foo")).revoked(),
        row("V07", "a foreign kind", revoke("token=eyJhbGciOiJub25lIn0.e30.&token_type_hint=pct")).revoked(),
        row("V11", "a preflight", Request::new("OPTIONS", REVOKE).header("origin", "https://canary.example"))
            .error_at(405, "invalid_request")
            .with(NoHeader("access-control-allow-origin")),
        row("V11", "a callback", revoke("token=canary&callback=canary").header("origin", "https://canary.example"))
            .revoked()
            .with(NoHeader("access-control-allow-origin")),
        row("V11", "no CORS at the token endpoint", with_origin(ask("grant_type=client_credentials")))
            .token()
            .with(NoHeader("access-control-allow-origin")),
        row("V11", "nor before it", Request::new("OPTIONS", TOKEN)).gives(405).with(Header("allow", "POST")),
    ];
    for token in ["{unknown}", "{expired}", "{revoked}", "{foreign}", "canary", "+", "eyJhbGciOiJub25lIn0.e30."] {
        rows.push(row("V02", token, revoke(format!("token={token}"))).revoked());
    }
    rows
}

fn with_origin(request: Request) -> Request {
    request.header("origin", "https://canary.example")
}
