//! A connection of a listener that speaks TLS: its handshake, then what every connection does.
//!
//! Invariant: from accept to the end of the handshake one time runs, whatever the client does or leaves undone; who speaks plain HTTP
//! here is told so, and nothing else.

use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use super::PeerIdentity;
use super::activity::{Activity, Order};
use super::connection::{self, Ending, until_ordered};
use super::router::Router;
use super::tls::arriving::Arriving;
use super::tls::{self, ServerTls, is_resumed};
use crate::telemetry::labels::HandshakeOutcome;

/// Serves one connection to its end.
pub(super) async fn serve(
    mut arriving: Arriving,
    spoken: ServerTls,
    peer: PeerIdentity,
    router: Rc<Router>,
    activity: Rc<Activity>,
) {
    let _ending = Ending(activity.clone());
    activity.handshake_awaited();
    let first = until_ordered(&activity, Order::Cut, |cx| match arriving.poll_first(cx) {
        Poll::Pending if activity.order() == Order::LeaveIfIdle => Poll::Ready(Ok(None)),
        polled => polled,
    })
    .await;
    let metrics = router.services().shared.metrics.clone();
    let count = |outcome| metrics.tls_handshake(spoken.listener(), outcome);
    match first {
        Some(Ok(Some(byte))) if byte.is_ascii_alphabetic() => {
            count(HandshakeOutcome::PlainHttp);
            activity.handshake_over();
            let peer = PeerIdentity { plain_on_tls: true, ..peer };
            return connection::serve(arriving, peer, router, activity).await;
        }
        Some(Ok(Some(_))) => activity.handshake_began(),
        // Who only looks whether somebody listens has broken off no handshake.
        Some(Ok(None) | Err(_)) => return,
        None if activity.handshake_is_overdue() => return count(HandshakeOutcome::TimedOut),
        None => return,
    }
    let mut shaking = pin!(spoken.shake_hands(arriving));
    match until_ordered(&activity, Order::Cut, |cx| shaking.as_mut().poll(cx)).await {
        Some(Ok(stream)) => {
            count(if is_resumed(&stream) { HandshakeOutcome::Resumed } else { HandshakeOutcome::Full });
            activity.handshake_over();
            let peer = PeerIdentity { certificate: tls::certificate(&stream), ..peer };
            connection::serve(stream, peer, router, activity).await;
        }
        Some(Err(error)) => {
            tracing::debug!(event = "warning", %error, "a TLS handshake failed");
            count(HandshakeOutcome::Failed);
        }
        None => count(HandshakeOutcome::TimedOut),
    }
}
