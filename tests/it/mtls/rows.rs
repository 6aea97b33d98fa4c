//! Rows X01 to X08 and D07.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, SignatureScheme};
use serde_json::{Value, json};

use super::people::{People, of_client, self_signed};
use super::{Scene, ask, naming};
use crate::harness::http1::Wire;
use crate::harness::request::{INTROSPECT, REVOKE, TOKEN};
use crate::harness::signer::{Assertion, SIGNER, asking, jwk_of, possession, thumbprint};
use crate::harness::tls::{self, Authority, Certificate};
use crate::harness::{Http, RedisServer, Request, TestServer, until};

const BOTH: [Http; 2] = [Http::One, Http::Two];

fn cnf(certificate: &Certificate) -> String {
    BASE64URL_NOPAD.encode(digest(&SHA256, &certificate.der()).as_ref())
}

#[tokio::test]
async fn x01_x06_each_kind_of_subject_proves_a_client_and_binds_its_tokens() {
    let redis = RedisServer::start().await;
    for builder in [TestServer::builder(), TestServer::builder().with_redis(&redis)] {
        each_kind_of_subject(&Scene::set_on(builder).await).await;
    }
}

async fn each_kind_of_subject(scene: &Scene) {
    scene.server.until_store_up().await;
    for http in BOTH {
        for person in &scene.people.signed {
            let shown = Some(&person.certificate);
            let token = scene.send(http, shown, &ask(person)).await.expect_token();
            let seen = scene.server.resource_server("orders-api").introspect(&token).await.expect_active();
            assert_eq!(seen["client_id"], person.client_id);
            assert_eq!(seen["token_type"], "Bearer");
            assert_eq!(seen["cnf"], json!({ "x5t#S256": cnf(&person.certificate) }));
            // Its own token, on the two other endpoints.
            let about = format!("client_id={}&token={token}", person.client_id);
            scene.send(http, shown, &Request::form(INTROSPECT, about.clone())).await.expect_active();
            scene.send(http, shown, &Request::form(REVOKE, about.clone())).await.expect(200);
            assert_eq!(
                scene.send(http, shown, &Request::form(INTROSPECT, about)).await.expect(200).json()["active"],
                false
            );
        }
    }
    let issued = scene.server.metric("jeton_tokens_issued_total", &["auth_method=\"tls_client_auth\""]).await;
    assert_eq!(issued, (BOTH.len() * scene.people.signed.len()) as f64);
}

#[tokio::test]
async fn x02_a_certificate_without_a_client_id_is_no_request() {
    let scene = Scene::set().await;
    let request = Request::form(TOKEN, "grant_type=client_credentials");
    for http in BOTH {
        let shown = Some(&scene.people.signed("by-dn").certificate);
        scene.send(http, shown, &request).await.expect_error(400, "invalid_request");
        scene.send(http, None, &request).await.expect_error(401, "invalid_client");
    }
}

#[tokio::test]
async fn x03_what_proves_nothing_is_401_and_another_method_still_works() {
    let scene = Scene::set().await;
    let by_dn = scene.people.signed("by-dn");
    let certify = |change: fn(&mut rcgen::CertificateParams)| {
        scene.people.authority.certify_with(|parameters| {
            of_client(parameters, "by-dn", None);
            change(parameters);
        })
    };
    let wrong = [
        ("another authority's", Authority::new().certify_with(|parameters| of_client(parameters, "by-dn", None))),
        ("its own", self_signed("by-dn")),
        ("expired", certify(|parameters| parameters.not_after = rcgen::date_time_ymd(2020, 1, 1))),
        ("not yet valid", certify(|parameters| parameters.not_before = rcgen::date_time_ymd(2090, 1, 1))),
        (
            "a server's",
            certify(|parameters| parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth]),
        ),
        ("another's", scene.people.signed("by-dns").certificate.clone()),
        (
            "of the same name in another order",
            certify(|parameters| {
                let mut name = rcgen::DistinguishedName::new();
                name.push(rcgen::DnType::CommonName, "by-dn");
                name.push(rcgen::DnType::OrganizationName, "Example, Ltd.");
                name.push(rcgen::DnType::CountryName, "DE");
                parameters.distinguished_name = name;
            }),
        ),
    ];
    let by_secret = scene.server.client("billing").token_request("");
    let refused = scene.send(Http::One, None, &naming("nobody")).await;
    assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("invalid_client")));
    for http in BOTH {
        for (case, certificate) in &wrong {
            let answer = scene.send(http, Some(certificate), &ask(by_dn)).await;
            assert_eq!((answer.status, answer.text()), (401, refused.text()), "{case}");
            scene.send(http, Some(certificate), &by_secret).await.expect_token();
        }
        scene.send(http, None, &ask(by_dn)).await.expect_error(401, "invalid_client");
        scene.send(http, None, &by_secret).await.expect_token();
        // Registered for another method (A14), and not registered at all.
        let shown = Some(&by_dn.certificate);
        for other in ["billing", "by-itself", "nobody"] {
            assert_eq!(scene.send(http, shown, &naming(other)).await.text(), refused.text(), "{other}");
        }
        let guessed = Request::form(TOKEN, "grant_type=client_credentials&client_id=by-dn&client_secret=x");
        scene.send(http, shown, &guessed).await.expect_error(401, "invalid_client");
    }
    let outcomes = ["untrusted_certificate", "wrong_subject", "unknown_key", "method_not_registered"];
    for outcome in outcomes {
        let labels = ["auth_method=\"tls_client_auth\"", &format!("outcome=\"{outcome}\"")];
        assert!(scene.server.metric("jeton_client_authentications_total", &labels).await >= 2.0, "{outcome}");
    }
}

#[tokio::test]
async fn x04_a_registered_certificate_needs_nobody_who_signed_it() {
    let scene = Scene::set().await;
    let own = &scene.people.own;
    for http in BOTH {
        scene.send(http, Some(&own.certificate), &ask(own)).await.expect_token();
        for other in [self_signed("by-itself"), scene.people.signed("by-dn").certificate.clone()] {
            scene.send(http, Some(&other), &ask(own)).await.expect_error(401, "invalid_client");
        }
    }
    let labels = ["auth_method=\"self_signed_tls_client_auth\"", "outcome=\"success\""];
    assert_eq!(scene.server.metric("jeton_client_authentications_total", &labels).await, 2.0);
}

/// X07, and D07: bound by certificate whatever proves the client, and by a key beside it.
#[tokio::test]
async fn x07_d07_a_bound_client_needs_its_certificate_and_may_have_a_key_beside_it() {
    let scene = Scene::set().await;
    let request = scene.server.client("bound-by-secret").token_request("");
    scene.server.send(&request).await.expect_error(400, "invalid_request");
    let shown = self_signed("whoever");
    let introspect = async |token: String| {
        scene.server.resource_server("orders-api").introspect(&token).await.expect_active()["cnf"].clone()
    };
    for http in BOTH {
        scene.send(http, None, &request).await.expect_error(400, "invalid_request");
        let bound = scene.send(http, Some(&shown), &request).await.expect_token();
        assert_eq!(introspect(bound).await, json!({ "x5t#S256": cnf(&shown) }));
        let mtls = format!("https://as.example:{}{TOKEN}", scene.server.mtls().port());
        for htu in [None, Some(mtls.as_str())] {
            let answer = until("the end of what the store may have forgotten", async || {
                let proof = possession("ES256");
                let proof = htu.map_or_else(|| possession("ES256"), |htu| proof.claim("htu", htu));
                let answer = scene.send(http, Some(&shown), &request.clone().header("dpop", proof.sign())).await;
                (answer.status != 503).then_some(answer)
            })
            .await;
            assert_eq!(answer.expect_token_type(), "DPoP");
            let both = json!({ "x5t#S256": cnf(&shown), "jkt": thumbprint(&jwk_of("ES256")) });
            assert_eq!(introspect(answer.expect_token()).await, both);
        }
    }
}

/// W05: who signs for the endpoint that it calls may call the one of this listener.
#[tokio::test]
async fn w05_an_assertion_may_be_meant_for_the_url_of_the_listener() {
    let scene = Scene::set().await;
    let mtls = format!("https://as.example:{}{TOKEN}", scene.server.mtls().port());
    let answer = until("the end of what the store may have forgotten", async || {
        let assertion = Assertion::of(SIGNER).claim("aud", mtls.as_str()).sign();
        let answer = scene.send(Http::One, None, &Request::form(TOKEN, asking(&assertion, &[]))).await;
        (answer.status != 503).then_some(answer)
    })
    .await;
    answer.expect_token();
    let other = Assertion::of(SIGNER).claim("aud", format!("{mtls}x")).sign();
    let other = scene.send(Http::One, None, &Request::form(TOKEN, asking(&other, &[]))).await;
    other.expect_error(401, "invalid_client");
}

/// Notes that it was asked, and shows nothing.
#[derive(Debug, Default)]
struct Asked(AtomicBool);

impl ResolvesClientCert for Asked {
    fn resolve(&self, _roots: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn x08_the_metadata_names_the_listener_and_no_other_asks() {
    let scene = Scene::set().await;
    let told = scene.server.get("/.well-known/oauth-authorization-server").await.expect(200).json();
    let at = format!("https://as.example:{}", scene.server.mtls().port());
    for (name, path) in
        [("token_endpoint", TOKEN), ("introspection_endpoint", INTROSPECT), ("revocation_endpoint", REVOKE)]
    {
        assert_eq!(told["mtls_endpoint_aliases"][name], format!("{at}{path}"));
    }
    assert_eq!(told["tls_client_certificate_bound_access_tokens"], true);
    for methods in ["token", "introspection", "revocation"] {
        let methods = told[format!("{methods}_endpoint_auth_methods_supported")].as_array().unwrap();
        let known = |name: &str| methods.contains(&Value::from(name));
        assert!(known("tls_client_auth") && known("self_signed_tls_client_auth"));
    }
    for (listener, asks) in [(scene.server.public, false), (scene.server.mtls(), true)] {
        for version in [&TLS12, &TLS13] {
            let asked = Arc::new(Asked::default());
            let shows = asked.clone();
            let config = tls::client_that(b"http/1.1", &[version], |config| config.with_client_cert_resolver(shows));
            let stream = tls::connect_as(&config, listener).await.unwrap();
            let request = scene.server.client("billing").token_request("");
            Wire::over(Box::new(stream), "as.example").ask(&request).await.expect_token();
            assert_eq!(asked.0.load(Ordering::Relaxed), asks);
        }
    }
    // And without such a listener nothing of it is said.
    let plain = TestServer::builder().start().await;
    let told = plain.get("/.well-known/oauth-authorization-server").await.expect(200).json();
    assert_eq!(
        (told.get("mtls_endpoint_aliases"), told.get("tls_client_certificate_bound_access_tokens")),
        (None, None)
    );
}

/// Whom the service believes is asked anew at each request: on a kept connection, and on a resumed one.
#[tokio::test]
async fn an_authority_that_is_believed_no_more_ends_what_it_signed() {
    let scene = Scene::set().await;
    let person = scene.people.signed("by-uri");
    // As another: who shows again and again what is not believed is told to wait.
    let other = scene.people.signed("by-ip");
    let until_believed = async || {
        until("belief", async || {
            let answer = scene.send(Http::One, Some(&other.certificate), &ask(other)).await;
            (answer.status == 200).then_some(())
        })
        .await;
    };
    for version in [&TLS12, &TLS13] {
        scene.server.write("clients-ca.crt", &scene.people.authority.pem());
        let config = tls::client_with(b"http/1.1", &[version], &person.certificate);
        let mut kept = Wire::over(Box::new(tls::connect_as(&config, scene.server.mtls()).await.unwrap()), "as.example");
        until_believed().await;
        kept.ask(&ask(person)).await.expect_token();

        let stream = tls::connect_as(&config, scene.server.mtls()).await.unwrap();
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
        let mut resumed = Wire::over(Box::new(stream), "as.example");
        resumed.ask(&ask(person)).await.expect_token();

        scene.server.write("clients-ca.crt", &People::new().authority.pem());
        until("disbelief", async || (kept.ask(&ask(person)).await.status == 401).then_some(())).await;
        resumed.ask(&ask(person)).await.expect_error(401, "invalid_client");
        let stream = tls::connect_as(&config, scene.server.mtls()).await.unwrap();
        Wire::over(Box::new(stream), "as.example").ask(&ask(person)).await.expect_error(401, "invalid_client");
    }
    // A file that holds nothing usable changes nothing.
    scene.server.write("clients-ca.crt", &scene.people.authority.pem());
    until_believed().await;
    scene.server.write("clients-ca.crt", "nothing");
    scene.server.until_event("reload_failed", |line| line.to_string().contains("mtls.client_ca_file")).await;
    scene.send(Http::One, Some(&person.certificate), &ask(person)).await.expect_token();
}

/// The listener stays until the next start; whoever is not asked for any more is not believed on it.
#[tokio::test]
async fn a_listener_that_the_configuration_lost_believes_nobody_s_signature() {
    let scene = Scene::set().await;
    let person = scene.people.signed("by-dn");
    let show = async || scene.send(Http::One, Some(&person.certificate), &ask(person)).await;
    show().await.expect_token();
    let config = std::fs::read_to_string(scene.server.folder().join("jeton.toml")).unwrap();
    let mut without: toml::Table = toml::from_str(&config).unwrap();
    without.remove("mtls").unwrap();
    scene.server.write("jeton.toml", &without.to_string());
    until("disbelief", async || (show().await.status == 401).then_some(())).await;
    let own = &scene.people.own;
    scene.send(Http::One, Some(&own.certificate), &ask(own)).await.expect_token();
}
