//! Drives an OAuth 2.0 token service over HTTP and says what its answers took: time, and CPU of the service and its Redis.
//!
//! A black box: it knows the endpoints of RFC 6749, 7662 and 7009, and nothing of what it measures. The shape of a run:
//! [`args`] to a [`drive::Plan`]; [`drive`] with threads of [`wire`] connections that ask [`request`]s, judge [`answer`]s and
//! fill a [`tally`]; [`cpu`] read at both ends; a [`report`]. [`turns`] does that to several services, by turns.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool: printing is what it does")]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test stops where it fails"))]

mod answer;
mod args;
mod baseline;
mod client;
mod compare;
mod cpu;
mod drive;
mod failure;
mod http1;
mod http2;
mod operation;
mod output;
mod overload;
mod pace;
mod profile;
mod proxy;
mod report;
mod request;
mod run;
mod scale;
mod scrape;
mod slices;
mod stock;
mod tally;
mod target;
mod tls;
mod turns;
mod wire;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Baseline(args) => baseline::serve(&args).map(|()| true),
        Command::Turns(args) => turns::run(&args),
        Command::Profile(args) => profile::run(&args),
        Command::Scale(args) => scale::run(&args),
        Command::Overload(args) => overload::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Render(args) => output::render(&args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("jeton-loadtest: no request was answered as it should be");
            ExitCode::FAILURE
        }
        Err(failure) => {
            eprintln!("jeton-loadtest: {failure}");
            ExitCode::FAILURE
        }
    }
}
