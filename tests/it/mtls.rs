//! Certificates of clients (RFC 8705): rows X01 to X09, D07, and what becomes of them when what is believed changes.

mod people;
mod proxies;
mod rows;

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::version::{TLS12, TLS13};

use crate::harness::config::ServerBuilder;
use crate::harness::http1::Wire;
use crate::harness::request::TOKEN;
use crate::harness::tls::{self, Certificate};
use crate::harness::{Answer, Http, Request, TestServer, http2};

use people::{People, Person};

/// A server with a listener that asks for certificates, and those who have some.
struct Scene {
    server: TestServer,
    people: People,
}

impl Scene {
    async fn set() -> Self {
        Self::set_on(TestServer::builder()).await
    }

    async fn set_on(builder: ServerBuilder) -> Self {
        let people = People::new();
        let builder = builder.with_tls().set("mtls.listen", "127.0.0.1:0");
        let builder =
            builder.set("mtls.client_ca_file", "clients-ca.crt").file("clients-ca.crt", &people.authority.pem());
        let builder = people.registrations().into_iter().fold(builder, |builder, one| builder.and_client(&one));
        Self { server: builder.start().await, people }
    }

    /// The answer to a request on a connection of its own, to a client that shows this.
    async fn send(&self, http: Http, shown: Option<&Certificate>, request: &Request) -> Answer {
        let protocol: &[u8] = if http == Http::Two { b"h2" } else { b"http/1.1" };
        let config = match shown {
            Some(shown) => tls::client_with(protocol, &[&TLS12, &TLS13], shown),
            None => tls::client(protocol, &[&TLS12, &TLS13]),
        };
        self.send_as(http, &config, request).await
    }

    async fn send_as(&self, http: Http, config: &Arc<ClientConfig>, request: &Request) -> Answer {
        let stream = Box::new(tls::connect_as(config, self.server.mtls()).await.unwrap());
        match http {
            Http::Two => http2::Wire::over(stream, "as.example").await.unwrap().ask(request).await,
            Http::One => Wire::over(stream, "as.example").ask(request).await,
        }
    }
}

/// A token request that names its client, and proves nothing by itself.
fn naming(client_id: &str) -> Request {
    Request::form(TOKEN, format!("grant_type=client_credentials&client_id={client_id}"))
}

/// The same, of somebody of whom a certificate is known.
fn ask(person: &Person) -> Request {
    naming(person.client_id)
}
