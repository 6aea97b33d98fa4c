//! A client library that others use, unchanged: the crate `oauth2` gets, introspects and revokes.

use oauth2::basic::BasicClient;
use oauth2::{
    AsyncHttpClient, AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, IntrospectionUrl, RevocationUrl,
    Scope, StandardRevocableToken, TokenIntrospectionResponse, TokenResponse, TokenUrl,
};

use std::net::SocketAddr;
use std::pin::Pin;

use crate::harness::clients::secret_of;
use crate::harness::config::ISSUER;
use crate::harness::{Http, RedisServer, Request, TestServer};

/// Maps the issuer's https URLs, without which the crate revokes nothing, to the loopback listener.
struct ToLoopback(SocketAddr, Http);

impl<'c> AsyncHttpClient<'c> for ToLoopback {
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Self::Error>> + Send + Sync + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        let (head, body) = request.into_parts();
        let target = head.uri.path_and_query().unwrap().as_str();
        assert_eq!(format!("{}://{}", head.uri.scheme().unwrap(), head.uri.authority().unwrap()), ISSUER);
        let mut mapped = Request::new(head.method.as_str(), target).body(body);
        for (name, value) in &head.headers {
            mapped = mapped.header(name.as_str(), value);
        }
        let (to, http) = (self.0, self.1);
        // The crate wants its futures Sync, which a task's handle is.
        let sent = tokio::spawn(async move { http.send(to, &mapped).await });
        Box::pin(async move {
            let answer = sent.await.map_err(std::io::Error::other)?;
            let mut response = oauth2::http::Response::builder().status(answer.status);
            for (name, value) in &answer.headers {
                response = response.header(name, value);
            }
            response.body(answer.body).map_err(std::io::Error::other)
        })
    }
}

async fn a_token_lives_and_ends(server: &TestServer, http: Http, auth: AuthType) {
    let client = |id: &str| {
        BasicClient::new(ClientId::new(id.to_owned()))
            .set_client_secret(ClientSecret::new(secret_of(id)))
            .set_auth_type(auth.clone())
            .set_token_uri(TokenUrl::new(format!("{ISSUER}/oauth2/token")).unwrap())
            .set_introspection_url(IntrospectionUrl::new(format!("{ISSUER}/oauth2/introspect")).unwrap())
            .set_revocation_url(RevocationUrl::new(format!("{ISSUER}/oauth2/revoke")).unwrap())
    };
    let loopback = ToLoopback(server.public, http);
    let billing = client("billing");
    let response = billing
        .exchange_client_credentials()
        .add_scope(Scope::new("invoices:read".to_owned()))
        .add_scope(Scope::new("invoices:write".to_owned()))
        .request_async(&loopback)
        .await
        .unwrap();
    assert_eq!(response.expires_in().unwrap().as_secs(), 600);
    let token = response.access_token();

    let orders_api = client("orders-api");
    let seen = orders_api.introspect(token).request_async(&loopback).await.unwrap();
    assert!(seen.active());
    assert_eq!(seen.client_id().unwrap().as_str(), "billing");
    assert_eq!(seen.scopes().unwrap().len(), 2);
    assert!(seen.exp().is_some() && seen.iat().is_some() && seen.jti().is_some() && seen.sub() == Some("billing"));

    let revocable = StandardRevocableToken::from(token);
    billing.revoke_token(revocable).unwrap().request_async(&loopback).await.unwrap();
    assert!(!orders_api.introspect(token).request_async(&loopback).await.unwrap().active());

    let refused = billing.exchange_client_credentials().add_scope(Scope::new("unregistered".to_owned()));
    let refused = refused.request_async(&loopback).await.unwrap_err();
    let oauth2::RequestTokenError::ServerResponse(error) = refused else { panic!("{refused:?}") };
    assert_eq!(error.error().as_ref(), "invalid_scope");
}

#[tokio::test]
async fn it_gets_introspects_and_revokes_in_memory() {
    let server = TestServer::builder().start().await;
    for http in [Http::One, Http::Two] {
        a_token_lives_and_ends(&server, http, AuthType::BasicAuth).await;
        a_token_lives_and_ends(&server, http, AuthType::RequestBody).await;
    }
}

#[tokio::test]
async fn it_gets_introspects_and_revokes_in_redis() {
    let redis = RedisServer::start().await;
    let server = TestServer::builder().with_redis(&redis).start().await;
    server.until_store_up().await;
    for http in [Http::One, Http::Two] {
        a_token_lives_and_ends(&server, http, AuthType::BasicAuth).await;
    }
}
