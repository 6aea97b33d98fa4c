//! A document as one HTML page that needs nothing else: no script, no font, no picture from anywhere.
//!
//! Invariant: everything that comes from outside passes through [`text::Escaped`]; colours are the style's alone, so that the
//! page is light or dark as its reader likes.

mod details;
mod ratios;
pub(crate) mod text;
mod tiles;

use super::charts::{self, batches, course, cpu, latency};
use super::figures;
use super::{About, Document};
use text::Escaped;

const STYLE: &str = include_str!("html/style.css");

pub(crate) fn render(document: &Document) -> String {
    let about = &document.about;
    let sections = [
        section(
            "CPU time a request",
            "User and system time of the service's process over the requests it answered; behind it, paler, that of its Redis. The \
             dashed line is the first subject's.",
            &cpu::draw(document),
        ),
        section("Latency", latency_note(document), &latency::draw(document)),
        section("Over time", &course_note(document), &course::draw(document)),
        section(
            "Sizes of batches",
            "How much went to the store in one round trip while the window was open: the share of trips by their size.",
            &batches::draw(document),
        ),
    ];
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>What a request costs: {date}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{header}<section>\n{tiles}{ratios}</section>\n{legend}{sections}{details}</main>\n</body>\n</html>\n",
        date = Escaped(&about.date),
        header = header(document),
        tiles = tiles::render(document),
        ratios = ratios::render(document),
        legend = legend(document),
        sections = sections.concat(),
        details = details::render(about),
    )
}

fn header(document: &Document) -> String {
    let About { date, commit, machine, subjects, .. } = &document.about;
    let subject = |(name, text): &(String, String)| {
        format!("<dt class=\"{}\">{}</dt><dd>{}</dd>", charts::colour(document, name), Escaped(name), Escaped(text))
    };
    let day = date.get(..16).unwrap_or(date).replace('T', " ");
    let commit = commit.as_ref().map_or(String::new(), |commit| format!("<li>commit {}</li>", Escaped(commit)));
    format!(
        "<header>\n<h1>What a request costs</h1>\n<p class=\"lead\">{}</p>\n<ul class=\"facts\"><li>{} UTC</li>{commit}\
         <li>{}, {} cores</li></ul>\n<dl class=\"subjects\">{}</dl>\n</header>\n",
        Escaped(&lead(document)),
        Escaped(&day),
        Escaped(&machine.cpu),
        machine.cores,
        subjects.iter().map(subject).collect::<String>()
    )
}

fn lead(document: &Document) -> String {
    match (figures::subjects(document).len(), figures::turns(document)) {
        (1, _) => "One service under load.".to_owned(),
        (subjects, 1) => format!("{subjects} services on one machine, one after the other."),
        (subjects, turns) => format!("{subjects} services on one machine, driven by turns, {turns} times."),
    }
}

fn latency_note(document: &Document) -> &'static str {
    if document.windows.iter().any(|window| window.summary.rate.is_some()) {
        return "Up to which time which part of the answers was there, counted from when each request was meant to be sent, so that a \
                stall is in every latency it delayed. Each further nine has the same room.";
    }
    if figures::turns(document) > 1 {
        return "Up to which time which part of the answers was there: beyond 99 %, one of a hundred took longer. Each further nine has \
                the same room. The line is the median of the turns, the band goes from their least to their most. As many requests as \
                connections are always under way, so latency follows from rate.";
    }
    "Up to which time which part of the answers was there: beyond 99 %, one of a hundred took longer. Each further nine has the same \
     room. As many requests as connections are always under way, so latency follows from rate."
}

fn course_note(document: &Document) -> String {
    let slice = document.windows.first().map_or(0.0, |window| window.summary.course.slice_seconds);
    let failed = document.windows.iter().any(|window| window.summary.course.failed.iter().any(|failed| *failed > 0));
    let failed = if failed { " A red stroke marks a slice with answers that were not as they should be." } else { "" };
    format!("In slices of {} s.{failed}", text::short(slice))
}

fn legend(document: &Document) -> String {
    let subjects = figures::subjects(document);
    if subjects.len() < 2 {
        return String::new();
    }
    let items = subjects
        .into_iter()
        .map(|subject| format!("<li class=\"{}\">{}</li>", charts::colour(document, subject), Escaped(subject)));
    format!("<ul class=\"legend\">{}</ul>\n", items.collect::<String>())
}

fn section(title: &str, note: &str, figures: &str) -> String {
    if figures.is_empty() {
        return String::new();
    }
    format!(
        "<section>\n<h2>{}</h2>\n<p class=\"note\">{}</p>\n<div class=\"figures\">{figures}</div>\n</section>\n",
        Escaped(title),
        Escaped(note)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figures::tests::document;

    #[test]
    fn a_page_stands_alone() {
        let page = render(&document(&[(10.0, 12.0), (20.0, 22.0), (10.0, 13.0)]));
        for foreign in ["<script", "http:", "https:", "url(", "@import", "src=", "href="] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        for part in ["prefers-color-scheme: dark", "width=device-width", "<h2>Latency</h2>", "<h2>Over time</h2>"] {
            assert!(page.contains(part), "{part}");
        }
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    }

    #[test]
    fn what_comes_from_outside_is_escaped() {
        let mut document = document(&[(10.0, 12.0)]);
        let hostile = "<img onerror=\"x\">";
        document.about.commit = Some(hostile.to_owned());
        document.about.command = hostile.to_owned();
        document.about.date = hostile.to_owned();
        document.about.machine.kernel = hostile.to_owned();
        document.about.settings.push((hostile.to_owned(), hostile.to_owned()));
        for window in &mut document.windows {
            window.subject += hostile;
            window.summary.workload = hostile.to_owned();
            let batches = window.summary.batches.remove("save").unwrap();
            window.summary.batches.insert(hostile.to_owned(), batches);
        }
        let page = render(&document);
        assert!(!page.contains("<img") && page.contains("&lt;img onerror=&quot;x&quot;&gt;"), "{page}");
    }

    #[test]
    fn a_single_run_is_compared_with_nothing() {
        let mut document = document(&[(10.0, 12.0)]);
        document.windows.remove(0);
        let page = render(&document);
        assert!(page.contains("One service under load.") && !page.contains("legend\"><li"), "{page}");
    }
}
