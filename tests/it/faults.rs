//! What breaks, and that nothing is lost and nothing false is said meanwhile: under load, with every answer in a history that is checked.
//!
//! | what breaks | what must hold | shown by |
//! |---|---|---|
//! | Redis is not there at the start | up, not ready, 503 at once; ready when Redis is there | [`super::outage`] `absent` |
//! | most of these, under Sentinel and in a cluster | the same as on a single Redis | `outage` `rows` |
//! | Redis is killed | what it synced is there, what was revoked stays so | [`restarts`], torture `redis-killed` |
//! | Redis is asked to end, and saves | nothing is lost at all | [`restarts`] |
//! | Redis is emptied, or restarted empty | inactive is said of what is gone; the next token is whole, its grant too | [`restarts`], `outage` `emptied` |
//! | Redis stands still (SIGSTOP) | 503 at once after the first ones, then as before | [`network`], `outage` `frozen` |
//! | Redis is full, read-only, loading, without replicas, refuses our password | 503 or an answer, by what it can still do | `outage` `refusing`, `frozen` |
//! | a partition, both ways or one | as when it stands still | [`network`], `outage` `frozen` |
//! | a half-open connection while new ones work | it is found out and left | [`network`] |
//! | resets, replies cut at any byte, changed, doubled, in crumbs | 503 for those affected, never another's data | [`network`], `outage` `corrupted` |
//! | a slow Redis | it is used, at the cost of one trip; one that is too far away is not, and does not flap | [`far`], `outage` `frozen` |
//! | Redis stalls for a second | 503, then as before | [`far`] |
//! | the name of Redis leads elsewhere, or to nothing | each connect resolves it, what was known is kept | the tests of `store::redis` |
//! | the password or the certificate of Redis changes | one of two passwords opens; open connections stay | [`rotation`] |
//! | a replica that lags | nothing is read from it | [`replicas`] |
//! | the primary under Sentinel, killed or stopped | 503 until there is another, and never back to the old one | `outage` `sentinel` |
//! | slots of a cluster that move under load | no error, nothing lost | `outage` `cluster` |
//! | a primary of a cluster, killed or stopped | its own tokens are 503 until its replica has them, all others are served | `outage` `cluster` |
//! | SIGTERM under load, restarts in turn | no request fails | [`rolling`], [`super::drain`], torture `rolling-…` |
//! | SIGKILL under load | only what was under way fails | [`restarts`], torture `jeton-killed` |
//! | no open files are left | those who are there are served, the others wait; no spin, no flood of lines | [`resources`] |
//! | no room for the log, or nobody reads it | the service goes on; lines are counted | [`resources`] |
//! | releases that differ share one Redis | old records are read, later ones are left alone | [`versions`] |
//! | all of these, one after the other | no false statement | torture `mixed-faults` |
//!
//! Torture is [`super::torture`], by `make torture`.

mod far;
mod network;
mod replicas;
#[cfg(target_os = "linux")]
mod resources;
mod restarts;
pub(crate) mod rolling;
mod rotation;
mod versions;
