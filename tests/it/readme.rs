//! README.md, and a line of docs/operations.md, taken literally: every command in it is one that is run here (or is a target of
//! make), and the answers that it shows are of the form that the service gives.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::harness::cli::{Call, clean_environment};
use crate::harness::process::Process;
use crate::harness::{RedisServer, TestServer, ports};

/// A fenced block: its language, and its lines.
struct Block {
    language: String,
    text: String,
}

fn file(path: &str) -> String {
    std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn blocks(text: &str) -> Vec<Block> {
    let mut pieces = text.split("\n```");
    let mut found = Vec::new();
    pieces.next();
    while let (Some(opened), Some(_prose)) = (pieces.next(), pieces.next()) {
        let (language, text) = opened.split_once('\n').unwrap_or((opened, ""));
        found.push(Block { language: language.to_owned(), text: text.to_owned() });
    }
    found
}

fn commands(block: &Block) -> impl Iterator<Item = &str> {
    block.text.lines().filter(move |line| block.language == "sh" && !line.is_empty())
}

/// Commands that are no calls of curl: who shows that they work.
const SHOWN_ELSEWHERE: [(&str, &str); 7] = [
    ("cargo run --release -- serve --dev", "below, with the binary that is under test"),
    ("make test", "a target of the Makefile: it runs this test"),
    ("docker compose up --build", "compose.rs"),
    ("jeton keys generate jeton.keys", "below"),
    ("jeton client hash --generate", "below"),
    ("jeton config check", "below"),
    ("jeton serve", "below"),
];

#[test]
fn every_command_is_one_that_is_run() {
    for block in blocks(&file("README.md")) {
        for command in commands(&block) {
            let known = is_call_of_curl(command) || SHOWN_ELSEWHERE.iter().any(|(shown, _)| *shown == command);
            assert!(known, "nobody runs this line of README.md: {command}");
            if let Some(target) = command.strip_prefix("make ") {
                assert!(file("Makefile").lines().any(|line| line.starts_with(&format!("{target}:"))), "{command}");
            }
        }
    }
}

fn is_call_of_curl(command: &str) -> bool {
    command.starts_with("curl ") || command.starts_with("TOKEN=$(curl ")
}

/// A command that the documents name within a sentence or a table exists, and so does every flag that they give it.
#[test]
fn every_command_that_is_named_exists() {
    let mut named = 0;
    for document in ["README.md", "docs/operations.md", "docs/security.md", "deploy/compose/clients.toml"] {
        for command in file(document).split('`').skip(1).step_by(2).filter_map(|quoted| quoted.strip_prefix("jeton ")) {
            let words: Vec<&str> = command.split_whitespace().collect();
            let is_subcommand = |word: &&&str| word.chars().all(|c| c.is_ascii_lowercase());
            let mut call: Vec<&str> = words.iter().take_while(is_subcommand).copied().collect();
            call.push("--help");
            let help = Call::new(&call).run().expect(0).stdout;
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                assert!(help.contains(flag), "{document}: jeton {command}: there is no {flag}");
            }
            named += 1;
        }
    }
    assert!(named > 10, "{named}");
}

/// The curl lines, pasted into one shell one after another while `serve --dev` runs, print what README.md says.
#[tokio::test]
async fn the_curl_lines_answer_as_shown() {
    if !curl_is_here() {
        return;
    }
    let server = dev_server().await;
    let mut script = "set -e\n".to_owned();
    let mut shown = Vec::new();
    let all = blocks(&file("README.md"));
    for (at, block) in all.iter().enumerate() {
        if !commands(block).any(is_call_of_curl) {
            continue;
        }
        script.push_str(&block.text);
        script.push_str("\nprintf '\\n-- \\n'\n");
        let answer = all.get(at + 1).filter(|next| next.language == "json" || next.language == "text");
        shown.push((block.text.clone(), answer.map(|next| next.text.clone())));
    }
    let script = script.replace("127.0.0.1:4444", &server.public.to_string());
    let output = Command::new("sh").arg("-c").arg(&script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<&str> = output.split("\n-- \n").collect();
    assert_eq!(answers.len(), shown.len() + 1);
    for ((commands, expected), answer) in shown.iter().zip(answers) {
        if let Some(expected) = expected {
            let (expected, answer): (Vec<_>, Vec<_>) = (expected.lines().collect(), answer.lines().collect());
            assert_eq!(expected.len(), answer.len(), "{commands}\nanswers {answer:?}");
            for (expected, answer) in expected.iter().zip(answer) {
                assert_eq!(form(expected), form(answer), "{commands}\nis shown as {expected}\nand answers {answer}");
            }
        }
    }
}

/// What must be as shown: every member, and every value but those that differ from one token to the next.
fn form(line: &str) -> BTreeMap<String, String> {
    const CHANGING: [&str; 5] = ["access_token", "exp", "iat", "nbf", "jti"];
    let Ok(Value::Object(members)) = serde_json::from_str::<Value>(line) else {
        return BTreeMap::from([("line".to_owned(), line.to_owned())]);
    };
    let value = |name: &str, value: &Value| match value {
        Value::String(text) if CHANGING.contains(&name) => format!("{} characters", text.len()),
        Value::Number(number) if CHANGING.contains(&name) => format!("{} digits", number.to_string().len()),
        // The issuer of --dev has the port that is listened on.
        Value::String(text) if name == "iss" => {
            text.rsplit_once(':').map_or(text.as_str(), |(front, _)| front).to_owned()
        }
        other => other.to_string(),
    };
    members.iter().map(|(name, member)| (name.clone(), value(name, member))).collect()
}

/// "Run it for real", step by step.
#[tokio::test]
async fn the_steps_to_a_real_service_work() {
    let text = file("README.md");
    let redis = RedisServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    Call::new(&["keys", "generate", "jeton.keys"]).within(folder.path()).run().expect(0);
    let made = Call::new(&["client", "hash", "--generate"]).within(folder.path()).run().expect(0);
    let printed = format!("{}\n{}", made.stdout, made.stderr);
    let hash = printed.split_whitespace().find(|word| word.contains("$sha256$")).expect("no hash is printed");
    let hash = hash.trim_matches(|c| "\"[],".contains(c));

    let toml: Vec<Block> = blocks(&text).into_iter().filter(|block| block.language == "toml").collect();
    let [clients, config] = toml.as_slice() else { panic!("README.md has other TOML blocks than clients and config") };
    std::fs::write(folder.path().join("clients.toml"), clients.text.replace("$sha256$…", hash)).unwrap();
    std::fs::write(folder.path().join("jeton.toml"), config.text.replace("redis://127.0.0.1:6379", &redis.url()))
        .unwrap();
    Call::new(&["config", "check"]).within(folder.path()).run().expect(0);

    let [public, admin] = addresses();
    let mut command = Command::new(env!("CARGO_BIN_EXE_jeton"));
    clean_environment(&mut command);
    command.arg("serve").current_dir(folder.path());
    command.env("JETON_PUBLIC__LISTEN", public.to_string()).env("JETON_ADMIN__LISTEN", admin.to_string());
    let process = Process::spawn("jeton", &mut command);
    TestServer::listening(folder, process, public, admin).await.until_store_up().await;
}

/// A user of Redis with no more than docs/operations.md names can do all that jeton does.
#[tokio::test]
async fn the_permissions_that_are_named_are_enough() {
    let text = file("docs/operations.md");
    let named =
        text.split('`').filter(|quoted| quoted.starts_with("+@") || quoted.starts_with('~')).collect::<Vec<_>>();
    assert_eq!(named.len(), 2, "{named:?}");
    let redis = RedisServer::start().await;
    redis.run::<()>(&format!("ACL SETUSER jeton on >the-password {}", named.join(" ")));
    let url = redis.url().replace("redis://", "redis://jeton:the-password@");
    let server = TestServer::builder().with_store(&url).start().await;
    server.until_store_up().await;
    let billing = server.client("billing");
    let token = billing.request_token("invoices:read").await.expect_token();
    server.resource_server("orders-api").introspect(&token).await.expect_active();
    billing.revoke(&token).await.expect_revoked();
    server.resource_server("orders-api").introspect(&token).await.expect_inactive();
}

/// The table of options says of each what jeton.example.toml and the defaults say.
#[test]
fn the_table_of_options_is_true() {
    let rows: Vec<Vec<String>> = file("README.md")
        .lines()
        .skip_while(|line| !line.starts_with("| option |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect())
        .collect();
    assert!(rows.len() > 10);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("jeton.toml"), "issuer = \"https://a.example\"\n[store]\nurl = \"memory:\"\n")
        .unwrap();
    let shown = Call::new(&["config", "show"]).within(folder.path()).run().expect(0).stdout;
    let example = file("jeton.example.toml");
    for row in rows {
        let (path, default) = (row[1].as_str(), row[2].as_str());
        let key = path.rsplit('.').next().unwrap();
        assert!(example.contains(&format!("{key} =")), "jeton.example.toml has no `{path}`");
        if !default.is_empty() {
            let line = shown.lines().find(|line| line.split([' ', '=']).any(|word| word == path || word == key));
            let line = line.unwrap_or_else(|| panic!("config show tells nothing of `{path}`"));
            assert!(line.contains(default), "the default of `{path}`: {line}");
        }
    }
}

fn addresses() -> [SocketAddr; 2] {
    [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], ports::free())))
}

async fn dev_server() -> TestServer {
    let folder = tempfile::tempdir().unwrap();
    let [public, admin] = addresses();
    let mut command = Command::new(env!("CARGO_BIN_EXE_jeton"));
    clean_environment(&mut command);
    command.args(["serve", "--dev", "--listen", &public.to_string(), "--admin-listen", &admin.to_string()]);
    let process = Process::spawn("jeton", command.current_dir(folder.path()));
    TestServer::listening(folder, process, public, admin).await
}

fn curl_is_here() -> bool {
    let here = Command::new("curl").arg("--version").output().is_ok_and(|output| output.status.success());
    if !here {
        eprintln!("skipped: no curl on the PATH");
    }
    here
}
