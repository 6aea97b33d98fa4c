//! A client or a resource server as its operator would write one, by HTTP Basic.

use std::net::SocketAddr;

use super::expect::Answer;
use super::request::{Http, INTROSPECT, REVOKE, Request, TOKEN, form};

/// Somebody with credentials, at one server.
#[derive(Clone, Debug)]
pub(crate) struct TestClient {
    pub(crate) server: SocketAddr,
    pub(crate) http: Http,
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl TestClient {
    /// The same with another secret.
    pub(crate) fn with_secret(mut self, secret: &str) -> Self {
        secret.clone_into(&mut self.secret);
        self
    }

    /// Asks for a token with this scope.
    pub(crate) async fn request_token(&self, scope: &str) -> Answer {
        self.send(&self.token_request(scope)).await
    }

    /// Asks about a token.
    pub(crate) async fn introspect(&self, token: &str) -> Answer {
        self.send(&self.introspection_request(token)).await
    }

    /// Revokes a token.
    pub(crate) async fn revoke(&self, token: &str) -> Answer {
        self.send(&self.revocation_request(token)).await
    }

    /// What [`TestClient::request_token`] sends.
    pub(crate) fn token_request(&self, scope: &str) -> Request {
        let form = form(&[("grant_type", "client_credentials"), ("scope", scope)]);
        Request::form(TOKEN, form).basic(&self.id, &self.secret)
    }

    /// What [`TestClient::introspect`] sends.
    pub(crate) fn introspection_request(&self, token: &str) -> Request {
        Request::form(INTROSPECT, form(&[("token", token)])).basic(&self.id, &self.secret)
    }

    /// What [`TestClient::revoke`] sends.
    pub(crate) fn revocation_request(&self, token: &str) -> Request {
        Request::form(REVOKE, form(&[("token", token)])).basic(&self.id, &self.secret)
    }

    async fn send(&self, request: &Request) -> Answer {
        self.http.send(self.server, request).await
    }
}
