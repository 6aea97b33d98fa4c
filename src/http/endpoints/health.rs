//! `GET /health/alive` and `GET /health/ready`.

use hyper::StatusCode;
use hyper::header::{HeaderValue, RETRY_AFTER};

use crate::http::reply::{self, Reply};
use crate::lifecycle::Health;

/// It answers, so it is alive.
pub(crate) fn alive(health: &Health) -> Reply {
    reply::ok(format!("{{\"status\":\"alive\",\"store\":\"{}\"}}", store(health)))
}

/// Whether a load balancer should send requests.
pub(crate) fn ready(health: &Health) -> Reply {
    if health.ready() {
        return reply::ok(format!("{{\"status\":\"ready\",\"store\":\"{}\"}}", store(health)));
    }
    let status = if health.draining() { "draining" } else { "not_ready" };
    let body = format!(
        "{{\"status\":\"{status}\",\"store\":\"{}\",\"error\":\"temporarily_unavailable\",\"error_description\":\"not ready\"}}",
        store(health)
    );
    reply::json(StatusCode::SERVICE_UNAVAILABLE, body.into()).with(RETRY_AFTER, HeaderValue::from_static("1"))
}

fn store(health: &Health) -> &'static str {
    if health.store_up() { "up" } else { "down" }
}
