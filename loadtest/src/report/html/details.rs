//! What must be known to believe the figures, and to measure them again.

use super::text::Escaped;
use crate::report::About;

pub(super) fn render(about: &About) -> String {
    let machine = &about.machine;
    let memory = format!("{:.1} GiB of memory", machine.memory_bytes as f64 / f64::from(1 << 30));
    let machine = format!("{}, {} cores, {memory}, {}", machine.cpu, machine.cores, machine.kernel);
    let commit = about.commit.as_deref().unwrap_or("not given");
    let version = format!("jeton-loadtest {}", about.version);
    let facts = [
        ("date", about.date.as_str()),
        ("machine", &machine),
        ("commit", commit),
        ("load generator", &version),
        ("command", &about.command),
    ];
    let settings = list(about.settings.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    format!(
        "<section class=\"details\">\n<h2>How it was measured</h2>\n<div>\n\
         <div><h3>Settings</h3>{settings}</div>\n<div><h3>Origin</h3>{}</div>\n</div>\n</section>\n",
        list(facts.into_iter())
    )
}

fn list<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let entries = entries.map(|(name, text)| format!("<dt>{}</dt><dd>{}</dd>", Escaped(name), Escaped(text)));
    format!("<dl>{}</dl>", entries.collect::<String>())
}
