//! `jeton client list`: what the admin listener says of the clients, page after page, as a table or as JSON.

use std::path::Path;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::cli::http_client::Call;
use crate::cli::input;
use crate::cli::output::{Failure, note, print};
use crate::cli::token::{ADMIN_URL, Service, success};

const HEADINGS: [&str; 5] = ["CLIENT", "STATE", "SECRET", "EXPIRES", "LAST USED"];

/// Clients in one answer: few enough for the longest names.
const PAGE: &str = "200";

/// How a list is shown.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(in crate::cli) enum Format {
    /// A line a secret.
    #[default]
    Table,
    /// What the service answers, as one document.
    Json,
}

/// All pages of the answer.
struct Listing {
    clients: Vec<Value>,
    since: Value,
}

pub(super) fn run(service: &Service, token_file: Option<&Path>, format: Format) -> Result<(), Failure> {
    let listing = Listing::ask(service, token_file)?;
    match format {
        Format::Json => print(&json!({ "clients": listing.clients, "since": listing.since }).to_string()),
        Format::Table => {
            let rows: Vec<[String; 5]> = listing.clients.iter().flat_map(rows).collect();
            print(&table(&rows))?;
            note(&format!("last uses are those that this node has seen since {}", text(&listing.since)));
            Ok(())
        }
    }
}

impl Listing {
    fn ask(service: &Service, token_file: Option<&Path>) -> Result<Self, Failure> {
        let endpoint = service.endpoint(ADMIN_URL)?;
        let token = token_file.map(|file| input::secret(file, "admin token")).transpose()?;
        let mut listing = Self { clients: Vec::new(), since: Value::Null };
        let mut after: Option<String> = None;
        loop {
            let call = Call::get(path(after.as_deref()));
            let call = if let Some(token) = &token { call.bearer(token)? } else { call };
            let answer = success(service.send(call, &endpoint)?)?;
            let mut page: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let Some(clients) = page["clients"].as_array_mut() else {
                return Err(Failure::new(format!("{endpoint} answers with no clients")));
            };
            listing.clients.append(clients);
            listing.since = page["since"].take();
            after = page["next"].as_str().map(str::to_owned);
            if after.is_none() {
                return Ok(listing);
            }
        }
    }
}

fn path(after: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", PAGE).extend_pairs(after.map(|after| ("after", after)));
    format!("/admin/clients?{}", query.finish())
}

/// A row a secret; one without secrets has a row too.
fn rows(client: &Value) -> Vec<[String; 5]> {
    let state = if client["disabled"] == true { "disabled" } else { "enabled" };
    let row = |at: usize, secret: &Value| {
        let (id, state) = if at == 0 { (text(&client["client_id"]), state) } else { ("", "") };
        let expires = match secret["expires_at"].as_str() {
            Some(end) if secret["expired"] == true => format!("expired {end}"),
            end => end.unwrap_or("never").to_owned(),
        };
        let used = secret["last_used"].as_str().unwrap_or("-");
        [id, state, text(&secret["id"]), &expires, used].map(str::to_owned)
    };
    match client["client_secrets"].as_array().map_or(&[][..], Vec::as_slice) {
        [] => vec![[text(&client["client_id"]), state, "-", "-", "-"].map(str::to_owned)],
        secrets => secrets.iter().enumerate().map(|(at, secret)| row(at, secret)).collect(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

/// Columns as wide as what stands in them.
fn table(rows: &[[String; 5]]) -> String {
    let headings = HEADINGS.map(str::to_owned);
    let all = || std::iter::once(&headings).chain(rows);
    let widths: [usize; 5] = std::array::from_fn(|column| all().map(|row| row[column].len()).max().unwrap_or(0));
    let line = |row: &[String; 5]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    all().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_named_once_and_each_secret_has_a_row() {
        let client = json!({ "client_id": "a", "disabled": false, "client_secrets": [
            { "id": "2026q4", "expires_at": "2026-12-31T00:00:00Z", "expired": true, "last_used": null },
            { "id": "next", "expires_at": null, "expired": false, "last_used": "2026-11-26T02:00:00Z" },
        ]});
        let bare = json!({ "client_id": "bare", "disabled": true, "client_secrets": [] });
        let shown = table(&[rows(&client), rows(&bare)].concat());
        let expected = "\
CLIENT  STATE     SECRET  EXPIRES                       LAST USED
a       enabled   2026q4  expired 2026-12-31T00:00:00Z  -
                  next    never                         2026-11-26T02:00:00Z
bare    disabled  -       -                             -";
        assert_eq!(shown, expected);
    }
}
