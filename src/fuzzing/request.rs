//! A client's bytes on a connection, as far as they go: whole requests, halves, and what is none.

use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use crate::http::connection;
use crate::http::router::Router;
use crate::http::testing::{TestService, limits};

/// More than any input, and than all answers to one.
const PIPE_BYTES: usize = 4 * 1024 * 1024;

/// A worker's thread with one service, which all inputs of a thread share. Leaked: a runtime that ends with its thread's other values
/// asks for some that are gone already.
struct Worker {
    runtime: Runtime,
    tasks: LocalSet,
    router: Rc<Router>,
}

thread_local! {
    static WORKER: &'static Worker = Box::leak(Box::new(Worker::start()));
}

/// A connection ends once its client has said all: what was answered is HTTP, no answer is a failure of ours, and none says that a
/// token is active, since no input holds one.
pub fn request(bytes: &[u8]) {
    WORKER.with(|worker| {
        let Worker { runtime, tasks, router } = worker;
        let answers = tasks.block_on(runtime, async {
            let (mut ours, theirs) = tokio::io::duplex(PIPE_BYTES);
            let serving = tokio::task::spawn_local(connection::serve_unswept(theirs, router.clone()));
            // It may have cut the connection: then nothing more is read.
            let _ = ours.write_all(bytes).await;
            let _ = ours.shutdown().await;
            let mut answers = Vec::new();
            ours.read_to_end(&mut answers).await.unwrap();
            serving.await.unwrap();
            answers
        });
        let answers = String::from_utf8_lossy(&answers);
        // HTTP/2 by prior knowledge begins with frames.
        let is_http2 = bytes.starts_with(b"PRI ");
        assert!(is_http2 || answers.is_empty() || answers.starts_with("HTTP/1.1 "), "{answers}");
        assert!(!answers.contains("HTTP/1.1 500"), "{answers}");
        assert!(!answers.contains("\"active\":true"), "{answers}");
    });
}

impl Worker {
    fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let tasks = LocalSet::new();
        let router = tasks.block_on(&runtime, async { TestService::start("https://as.example", limits()).public() });
        Self { runtime, tasks, router }
    }
}
