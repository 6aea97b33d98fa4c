//! The rows that are one request each, as data.

mod authentication;
mod http_layer;
mod introspection;
mod metadata;
mod parameters;
mod resources;
mod revocation;
mod token;

use super::row::Row;

/// All of them.
pub(crate) fn all() -> Vec<Row> {
    [
        http_layer::rows(),
        parameters::rows(),
        authentication::rows(),
        token::rows(),
        introspection::rows(),
        revocation::rows(),
        metadata::rows(),
        resources::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
