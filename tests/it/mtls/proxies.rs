//! Row X09, and of B04 the forwarded address: what a proxy in front says of its clients.

use data_encoding::BASE64;
use serde_json::json;

use super::ask;
use super::people::{People, of_client};
use crate::harness::tls::{Authority, Certificate};
use crate::harness::{Request, TestServer};

fn told(certificate: &Certificate) -> String {
    format!(":{}:", BASE64.encode(&certificate.der()))
}

async fn behind_a_proxy(people: &People, proxies: &[&str]) -> TestServer {
    let proxies: Vec<toml::Value> = proxies.iter().map(|network| (*network).into()).collect();
    let builder = TestServer::builder().set("public.trusted_proxies", proxies);
    let builder = builder.set("public.client_certificate_header", "client-cert");
    let builder = builder.set("mtls.client_ca_file", "clients-ca.crt").file("clients-ca.crt", &people.authority.pem());
    people.registrations().into_iter().fold(builder, |builder, one| builder.and_client(&one)).start().await
}

#[tokio::test]
async fn x09_a_certificate_counts_from_a_trusted_proxy_alone() {
    let people = People::new();
    let person = people.signed("by-dn");
    let (trusting, wary) =
        (behind_a_proxy(&people, &["127.0.0.0/8"]).await, behind_a_proxy(&people, &["192.0.2.0/24"]).await);
    let request = |certificate: &Certificate| ask(person).header("client-cert", told(certificate));

    let token = trusting.send(&request(&person.certificate)).await.expect_token();
    let seen = trusting.resource_server("orders-api").introspect(&token).await.expect_active();
    assert_eq!((&seen["client_id"], seen["cnf"].get("x5t#S256").is_some()), (&json!("by-dn"), true));
    wary.send(&request(&person.certificate)).await.expect_error(401, "invalid_client");

    // Chain, purpose and dates are this service's to judge, and the field stands there once.
    let forged = Authority::new().certify_with(|parameters| of_client(parameters, "by-dn", None));
    trusting.send(&request(&forged)).await.expect_error(401, "invalid_client");
    let twice = request(&forged).header("client-cert", told(&person.certificate));
    trusting.send(&twice).await.expect_error(401, "invalid_client");
    let other = ask(person)
        .header("x-forwarded-client-cert", format!("Cert=\"{}\"", person.certificate.certificate.replace('\n', "%0A")));
    trusting.send(&other).await.expect_error(401, "invalid_client");

    // It is no listener that asks: the metadata names no other URL.
    let metadata = trusting.get("/.well-known/oauth-authorization-server").await.expect(200).json();
    assert_eq!(metadata["tls_client_certificate_bound_access_tokens"], true);
    assert_eq!(metadata.get("mtls_endpoint_aliases"), None);
    let methods = metadata["token_endpoint_auth_methods_supported"].as_array().unwrap();
    assert!(methods.contains(&json!("tls_client_auth")));
}

/// Wrong secrets count by the address that a trusted proxy tells, and by no other.
#[tokio::test]
async fn b04_a_forwarded_address_counts_from_a_trusted_proxy_alone() {
    let people = People::new();
    let guess = |from: &str| -> Request {
        let wrong = Request::form("/oauth2/token", "grant_type=client_credentials").basic("billing", "wrong");
        wrong.header("x-forwarded-for", from)
    };
    let trusting = behind_a_proxy(&people, &["127.0.0.1"]).await;
    for _ in 0..20 {
        trusting.send(&guess("203.0.113.1, 198.51.100.7")).await.expect_error(401, "invalid_client");
    }
    trusting.send(&guess("198.51.100.7")).await.expect_error(429, "temporarily_unavailable");
    trusting.send(&guess("203.0.113.1")).await.expect_error(401, "invalid_client");

    let wary = TestServer::builder().start().await;
    for last in 0..20 {
        wary.send(&guess(&format!("198.51.100.{last}"))).await.expect_error(401, "invalid_client");
    }
    wary.send(&guess("198.51.100.200")).await.expect_error(429, "temporarily_unavailable");
}
