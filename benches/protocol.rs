//! What the pure part of a request costs: reading it, judging it, writing its answer.

#![allow(clippy::unwrap_used, reason = "a bench stops where it fails")]

use std::hint::black_box;
use std::sync::Arc;

use divan::Bencher;
use jeton::oauth::client::{Client, ClientId, Registration};
use jeton::oauth::credentials::{Endpoint, PresentedCredentials};
use jeton::oauth::form::Form;
use jeton::oauth::grant::Grant;
use jeton::oauth::keys::{KeyId, ServiceKey, ServiceKeys};
use jeton::oauth::scope::Scope;
use jeton::oauth::secret::{self, Secret, SecretHash};
use jeton::oauth::time::{Lifetime, Timestamp};
use jeton::oauth::token::{Page, RANDOM_BYTES, Token, TokenAddress, TokenRecord};
use jeton::oauth::token_request::TokenRequest;
use jeton::oauth::{introspection, token_response};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const LIFETIME: Lifetime = Lifetime::from_seconds(3600);
const PAGE: Page = Page { dead_second: 1_800_003_616, number: 7 };
const SECRET: &str = "Yz9mQ2tXc1RkR3ZKbkx3aEZpUHVBb0VyQ3lCZU1qU2s";
const ISSUER: &str = "\"https://auth.example.com\"";

fn main() {
    divan::main();
}

fn body_with_secret() -> String {
    format!("grant_type=client_credentials&client_id=billing-worker&client_secret={SECRET}")
}

/// RFC 7617, of `billing-worker` and [`SECRET`].
fn basic() -> String {
    let pair = format!("billing-worker:{SECRET}");
    format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()))
}

fn client() -> Client {
    Client::new(Registration {
        secrets: vec![SecretHash::of(&Secret::new(SECRET.as_bytes())).into()],
        scope: Scope::parse("invoices:read invoices:write").unwrap(),
        audience: vec!["https://api.example.com".to_owned()],
        ..Registration::new(ClientId::new("billing-worker"))
    })
}

fn keys() -> ServiceKeys {
    ServiceKeys::new(vec![ServiceKey::new(KeyId(1), Timestamp::from_unix_seconds(0), &[7; 32])]).unwrap()
}

fn token(keys: &ServiceKeys) -> (Token, TokenAddress) {
    Token::make("jt", keys.maker(NOW), PAGE, &[9; RANDOM_BYTES])
}

fn grant() -> Arc<Grant> {
    let form = Form::parse(b"grant_type=client_credentials").unwrap();
    client().authorise(&TokenRequest::parse(&form).unwrap(), || NOW).unwrap()
}

#[divan::bench]
fn form_of_a_token_request(bencher: Bencher<'_, '_>) {
    let body = body_with_secret();
    bencher.bench(|| Form::parse(black_box(body.as_bytes())).unwrap());
}

#[divan::bench]
fn form_with_escapes(bencher: Bencher<'_, '_>) {
    let body =
        b"grant_type=client_credentials&scope=invoices%3Aread+invoices%3Awrite&resource=https%3A%2F%2Fapi.example.com";
    bencher.bench(|| Form::parse(black_box(body)).unwrap());
}

#[divan::bench]
fn credentials_in_the_header(bencher: Bencher<'_, '_>) {
    let (header, form) = (basic(), Form::parse(b"grant_type=client_credentials").unwrap());
    bencher.bench(|| {
        let header = std::iter::once(black_box(header.as_bytes()));
        PresentedCredentials::parse(Endpoint::Token, header, black_box(&form)).unwrap()
    });
}

#[divan::bench]
fn credentials_in_the_body(bencher: Bencher<'_, '_>) {
    let body = body_with_secret();
    let form = Form::parse(body.as_bytes()).unwrap();
    bencher.bench(|| PresentedCredentials::parse(Endpoint::Token, std::iter::empty(), black_box(&form)).unwrap());
}

#[divan::bench]
fn secret_verified(bencher: Bencher<'_, '_>) {
    let secret = Secret::new(SECRET.as_bytes());
    let hashes = [SecretHash::of(&secret)];
    bencher.bench(|| secret::verify(black_box(secret.expose()), black_box(&hashes)));
}

#[divan::bench]
fn authorised_by_default(bencher: Bencher<'_, '_>) {
    let (client, form) = (client(), Form::parse(b"grant_type=client_credentials").unwrap());
    bencher.bench(|| client.authorise(&TokenRequest::parse(black_box(&form)).unwrap(), || NOW).unwrap());
}

#[divan::bench]
fn authorised_for_a_scope(bencher: Bencher<'_, '_>) {
    let (client, body) = (client(), b"grant_type=client_credentials&scope=invoices%3Aread");
    let form = Form::parse(body).unwrap();
    bencher.bench(|| client.authorise(&TokenRequest::parse(black_box(&form)).unwrap(), || NOW).unwrap());
}

#[divan::bench]
fn token_made(bencher: Bencher<'_, '_>) {
    let keys = keys();
    bencher.bench(|| token(black_box(&keys)));
}

#[divan::bench]
fn token_checked(bencher: Bencher<'_, '_>) {
    let keys = keys();
    let (token, _) = token(&keys);
    bencher.bench(|| Token::check(black_box(token.expose()), "jt", &keys, NOW).unwrap());
}

#[divan::bench]
fn forged_token_refused(bencher: Bencher<'_, '_>) {
    let keys = keys();
    let mut forged = token(&keys).0.expose().to_owned();
    forged.replace_range(50.., "AAAAAAAAA");
    bencher.bench(|| Token::check(black_box(&forged), "jt", &keys, NOW).unwrap_err());
}

#[divan::bench]
fn token_response_written(bencher: Bencher<'_, '_>) {
    let ((token, _), grant) = (token(&keys()), grant());
    bencher.bench(|| token_response::body(black_box(&token), LIFETIME, black_box(&grant), None));
}

#[divan::bench]
fn introspection_response_written(bencher: Bencher<'_, '_>) {
    let (_, address) = token(&keys());
    let record = TokenRecord { issued_at: NOW, lifetime: LIFETIME, grant: grant(), confirmation: None };
    bencher.bench(|| introspection::active_body(black_box(&address), black_box(&record), ISSUER));
}
