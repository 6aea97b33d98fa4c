//! The rows that take several steps, each a function of its own.

mod advertised;
mod authentication;
mod bearer;
mod dpop;
mod framing;
mod heads;
mod http;
mod introspection;
mod metadata;
mod registration;
mod revocation;
mod tokens;

use std::pin::Pin;

use super::bench::Bench;

/// A row that takes several steps. It panics where it fails.
pub(crate) struct Scenario {
    pub(crate) id: &'static str,
    /// Whether it speaks of what HTTP/2 does not have.
    pub(crate) http1_only: bool,
    pub(crate) run: for<'a> fn(&'a Bench) -> Pin<Box<dyn Future<Output = ()> + 'a>>,
}

macro_rules! scenario {
    ($id:literal, $function:path) => {
        Scenario { id: $id, http1_only: false, run: |bench| Box::pin($function(bench)) }
    };
    ($id:literal, $function:path, http1) => {
        Scenario { id: $id, http1_only: true, run: |bench| Box::pin($function(bench)) }
    };
}

/// All of them.
pub(crate) fn all() -> Vec<Scenario> {
    vec![
        scenario!("H03", metadata::head_is_get_without_its_body),
        scenario!("H09", framing::too_large_by_its_length, http1),
        scenario!("H09", http::too_large),
        scenario!("H10", framing::too_large_in_chunks, http1),
        scenario!("H11", framing::another_length_than_said, http1),
        scenario!("H12", framing::two_framings, http1),
        scenario!("H13", framing::framings_nobody_can_follow, http1),
        scenario!("H14", heads::heads_that_are_none, http1),
        scenario!("H14", heads::absolute_form, http1),
        scenario!("H14", heads::bare_line_feeds, http1),
        scenario!("H15", heads::too_large, http1),
        scenario!("H15", http::too_large_head),
        scenario!("H16", heads::target_too_long, http1),
        scenario!("H17", framing::expectations, http1),
        scenario!("H19", framing::fifty_at_once, http1),
        scenario!("H20", http::both_versions_on_one_listener),
        scenario!("H21", http::headers_of_every_answer),
        scenario!("H22", http::a_thousand_errors),
        scenario!("A07", authentication::an_unknown_client_looks_like_a_wrong_secret),
        scenario!("A15", registration::public_client),
        scenario!("A17", authentication::a_disabled_client_and_an_expired_secret_look_like_a_wrong_secret),
        scenario!("A18", authentication::a_retired_secret),
        scenario!("A19", registration::no_listener_in_the_clear),
        scenario!("A22", authentication::too_many_wrong_secrets),
        scenario!("K03", dpop::no_proof_binds_nothing),
        scenario!("K11", tokens::only_registered_codes),
        scenario!("K12", tokens::no_two_are_equal),
        scenario!("K13", tokens::a_life_as_long_as_said),
        scenario!("K14", tokens::unavailable),
        scenario!("K14", tokens::full_memory),
        scenario!("K15", bearer::admin),
        scenario!("K15", bearer::admin_switched_off),
        scenario!("K16", bearer::in_the_wrong_place),
        scenario!("I01", introspection::times_and_jti),
        scenario!("I05", introspection::bearer_without_audience),
        scenario!("I06", introspection::all_inactive_answers_are_equal),
        scenario!("I11", introspection::never_active_at_its_end),
        scenario!("I13", introspection::unavailable),
        scenario!("I14", introspection::a_thousand_times_the_same),
        scenario!("I15", registration::claims_that_jeton_writes_itself),
        scenario!("V01", revocation::everywhere),
        scenario!("V03", revocation::not_its_own),
        scenario!("V08", revocation::unavailable),
        scenario!("V09", revocation::a_hundred_times),
        scenario!("M02", metadata::issuer_with_a_path),
        scenario!("M03", registration::issuers_that_are_none),
        scenario!("M04", metadata::endpoints_answer),
        scenario!("M08", advertised::works_and_nothing_else_does),
        scenario!("M09", metadata::not_modified),
        scenario!("M09", metadata::needs_no_store),
        scenario!("D01", dpop::a_proof_binds),
        scenario!("D02", dpop::what_is_wrong_is_refused),
        scenario!("D03", dpop::a_url_is_compared_as_a_url),
        scenario!("D04", dpop::nonces),
        scenario!("D05", dpop::a_proof_is_good_once),
        scenario!("D06", dpop::a_client_that_must),
    ]
}
