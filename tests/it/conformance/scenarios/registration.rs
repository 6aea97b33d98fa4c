//! A15, I15 and M03: what cannot be configured, and is said with its place.

use crate::conformance::bench::Bench;
use crate::harness::TestServer;
use crate::harness::cli::{Finished, jeton};
use crate::harness::clients::client;
use crate::harness::config::ServerBuilder;

fn check(builder: &ServerBuilder) -> Finished {
    jeton(&["config", "check", "--config", builder.write().to_str().unwrap()])
}

fn refused(builder: &ServerBuilder, what: &str) {
    let finished = check(builder).expect(78);
    assert!(finished.stderr.contains(what), "{what} is not named:\n{}", finished.stderr);
}

pub(crate) async fn public_client(_: &Bench) {
    let text = client("public", "token_endpoint_auth_method = \"none\"");
    refused(&TestServer::builder().with_clients(&text), "token_endpoint_auth_method");
    refused(&TestServer::builder().with_clients("[[client]]\nclient_id = \"public\"\n"), "public");
}

pub(crate) async fn claims_that_jeton_writes_itself(_: &Bench) {
    let own = [
        "active",
        "scope",
        "client_id",
        "username",
        "token_type",
        "exp",
        "iat",
        "nbf",
        "sub",
        "aud",
        "iss",
        "jti",
        "cnf",
    ];
    for claim in own {
        let text = client("sly", &format!("claims = {{ {claim} = \"canary\" }}"));
        refused(&TestServer::builder().with_clients(&text), claim);
    }
    let text = client("honest", "claims = { tenant = \"acme\" }");
    check(&TestServer::builder().with_clients(&text)).expect(0);
}

pub(crate) async fn issuers_that_are_none(_: &Bench) {
    for issuer in [
        "http://as.example",
        "https://as.example?a=b",
        "https://as.example#a",
        "https://as.example/#",
        "as.example",
        "ftp://as.example",
        "https://",
        "",
    ] {
        refused(&TestServer::builder().set("issuer", issuer), "issuer");
    }
    for issuer in [
        "https://as.example",
        "https://as.example/t1",
        "http://127.0.0.1:4444",
        "http://localhost:4444",
        "http://[::1]",
    ] {
        check(&TestServer::builder().set("issuer", issuer)).expect(0);
    }
    check(&TestServer::builder().set("issuer", "http://as.example").set("public.plain_http", "any")).expect(0);
    refused(&TestServer::builder().unset("issuer"), "issuer");
}

pub(crate) async fn no_listener_in_the_clear(_: &Bench) {
    let everywhere = || TestServer::builder().set("public.listen", "0.0.0.0:0");
    refused(&everywhere(), "plain_http");
    check(&everywhere().set("public.plain_http", "any")).expect(0);
    check(&everywhere().with_tls()).expect(0);
}
