//! The rules of the house, held by reading the source: what ARCHITECTURE.md says of rooms, sizes and absences is tested here.
//!
//! Each rule is a function from a source file (or from all of them) to its breaches, and each has a test that shows it a bad
//! snippet: a rule that cannot fail holds nothing.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "tidy/absences.rs"]
mod absences;
#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/lexer.rs"]
mod lexer;
#[path = "tidy/lockfile.rs"]
mod lockfile;
#[path = "tidy/paths.rs"]
mod paths;
#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/sizes.rs"]
mod sizes;
#[path = "tidy/source.rs"]
mod source;

use source::{Breach, Source};

/// Fails with every breach at once, one a line, so that one run shows all there is to mend.
fn assert_none(rule: &str, breaches: &[Breach]) {
    let lines: Vec<String> = breaches.iter().map(ToString::to_string).collect();
    assert!(breaches.is_empty(), "{rule}: {} breaches\n{}", breaches.len(), lines.join("\n"));
}

fn of_service(rule: &str, check: impl Fn(&Source) -> Vec<Breach>) {
    let breaches: Vec<Breach> = source::service().iter().flat_map(check).collect();
    assert_none(rule, &breaches);
}

fn of_all(rule: &str, check: impl Fn(&Source) -> Vec<Breach>) {
    let breaches: Vec<Breach> = source::everything().flat_map(check).collect();
    assert_none(rule, &breaches);
}

#[test]
fn a_room_imports_only_from_rooms_below_it() {
    of_service("the import table", rooms::imports);
}

#[test]
fn a_crate_is_named_only_in_its_rooms() {
    of_service("crates and their rooms", rooms::crates);
}

#[test]
fn no_circle_among_siblings() {
    assert_none("no circles", &circles::among_siblings(source::service()));
}

#[test]
fn a_file_is_at_most_400_lines() {
    of_all("length of files", sizes::files);
}

#[test]
fn a_function_is_at_most_70_lines() {
    of_all("length of functions", sizes::functions);
}

#[test]
fn a_module_begins_with_what_it_is() {
    of_all("a module's first lines", sizes::headers);
}

#[test]
fn nothing_unwraps_outside_tests() {
    of_all("no unwrap, no expect", absences::unwraps);
}

#[test]
fn no_queue_is_unbounded() {
    of_all("no unbounded queue", absences::unbounded_queues);
}

#[test]
fn no_task_is_detached() {
    of_service("no detached task", absences::detached_tasks);
}

#[test]
fn the_environment_is_read_by_config_alone() {
    of_service("the environment", absences::environment);
}

#[test]
fn the_wall_clock_is_read_by_clock_alone() {
    of_service("the wall clock", absences::wall_clock);
}

#[test]
fn metric_names_stand_in_one_file() {
    of_service("metric names", absences::metric_names);
}

#[test]
fn only_the_command_line_prints() {
    of_service("printing", absences::printing);
}

#[test]
fn a_failure_chooses_its_face_without_a_wildcard() {
    of_service("no wildcard arm", absences::wildcard_faces);
}

#[test]
fn a_secret_has_no_display() {
    of_service("no Display", absences::displayed_secrets);
}

#[test]
fn nothing_is_left_for_later() {
    of_all("no marks", absences::marks);
}

#[test]
fn no_file_names_what_is_not_in_the_repository() {
    assert_none("outside names", &absences::outside_names(&source::texts()));
}

#[test]
fn the_files_that_documents_name_are_there() {
    assert_none("files named", &documents::all_missing());
}

#[test]
fn the_table_of_rooms_is_the_one_that_is_held() {
    assert_eq!(documents::rooms_untold(&source::text("ARCHITECTURE.md")), Vec::<String>::new());
}

#[test]
fn the_lock_file_holds_no_banned_crate() {
    assert_none("banned crates", &lockfile::banned(&source::text("Cargo.lock")));
}
