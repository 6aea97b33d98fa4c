//! The layers, the rules between values, and what a start takes.

mod examples;

use super::*;

/// A folder with files, and sources that read from it.
struct Scene {
    folder: tempfile::TempDir,
    sources: Sources,
}

impl Scene {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let sources = Sources { folder: folder.path().to_path_buf(), ..Sources::default() };
        Self { folder, sources }
    }

    fn toml(text: &str) -> Self {
        Self::new(&[("jeton.toml", text)])
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.push((name.into(), value.into()));
        self
    }

    fn dev(mut self) -> Self {
        self.sources.dev = Some(Dev::default());
        self
    }

    fn flags(mut self, flags: Flags) -> Self {
        self.sources.flags = flags;
        self
    }

    fn text(&self, found: impl ToString) -> String {
        found.to_string().replace(&format!("{}/", self.folder.path().display()), "")
    }

    fn effective(&self) -> Effective {
        let read = self.sources.read();
        read.unwrap_or_else(|found| panic!("{found:#?}"))
    }

    fn mistakes(&self) -> Vec<String> {
        self.sources.read_all().1.iter().map(|mistake| self.text(mistake)).collect()
    }

    fn warnings(&self) -> Vec<String> {
        self.effective().warnings.iter().map(|warning| self.text(warning)).collect()
    }

    fn load(&self) -> Result<Loaded, Vec<String>> {
        let loaded = load(self.sources.clone(), &Random::system(), Timestamp::from_unix_seconds(1));
        loaded.map_err(|found| found.iter().map(|mistake| self.text(mistake)).collect())
    }
}

/// What every start outside `--dev` needs.
const LEAST: &str = "issuer = \"https://auth.example\"\nstore.url = \"memory:\"\n";

#[test]
fn the_defaults_are_those_of_the_interface() {
    let config = Scene::toml(LEAST).effective().config;
    assert_eq!(config.public.listen.to_string(), "127.0.0.1:4444");
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:4445");
    assert_eq!((config.public.workers, config.public.plain_http), (0, options::PlainHttp::Loopback));
    assert!(config.admin.token.is_none() && config.keys.file.is_none() && config.store.password.is_none());
    assert_eq!((config.store.key_prefix.as_str(), config.store.operation_timeout_ms), ("jeton:", 250));
    assert_eq!((config.store.require_noeviction, config.store.memory_tokens_max), (false, 10_000_000));
    let tokens = &config.tokens;
    assert_eq!((tokens.ttl_seconds, tokens.ttl_seconds_max, tokens.prefix.as_str()), (3600, 86_400, "jt"));
    let limits = &config.limits;
    assert_eq!((limits.body_bytes, limits.connections, limits.connections_per_source), (16_384, 10_000, 0));
    assert_eq!((limits.request_deadline_ms, limits.header_timeout_ms, limits.body_timeout_ms), (1000, 5000, 5000));
    assert_eq!(limits.wrong_proofs_per_minute, 20);
    assert_eq!((limits.idle_timeout_ms, limits.connection_age_ms), (620_000, 600_000));
    assert_eq!((limits.drain_delay_ms, limits.drain_timeout_ms), (2000, 10_000));
    let info = options::LogLevel::Info;
    assert_eq!((config.log.format, config.log.level), (options::LogFormat::Auto, info));
    assert_eq!(config.log.requests, options::LogRequests::None);
}

#[test]
fn every_number_of_the_table_reaches_its_option() {
    for key in table::KEYS {
        let table::Kind::Number(_, max) = key.kind else { continue };
        let scene = Scene::toml(&format!("{LEAST}tokens.ttl_seconds_max = 315360000\n").replace(
            if key.path == "tokens.ttl_seconds_max" { "tokens.ttl_seconds_max = 315360000\n" } else { "\0" },
            "",
        ));
        let scene = scene.variable(&key.variable(), &max.to_string());
        let leaf = key.path.rsplit('.').next().unwrap();
        let printed = format!("{:?}", scene.effective().config);
        assert!(printed.contains(&format!("{leaf}: {max}")), "{} in {printed}", key.path);
    }
}

#[test]
fn flags_stand_over_variables_over_the_file_over_defaults() {
    let scene = Scene::toml("issuer = \"https://file\"\npublic.listen = \"127.0.0.1:1\"\n[store]\nurl = \"memory:\"\n[log]\n  level = \"warn\"\n")
        .variable("JETON_PUBLIC__LISTEN", "127.0.0.1:2")
        .variable("JETON_ISSUER", "https://variable")
        .flags(Flags { listen: Some("127.0.0.1:3".into()), ..Flags::default() });
    let effective = scene.effective();
    let shown = effective.show();
    let line = |path: &str| {
        let one = shown.iter().find(|one| one.path == path).unwrap();
        (one.value.clone().unwrap_or_default(), scene.text(&one.origin))
    };
    assert_eq!(line("public.listen"), ("\"127.0.0.1:3\"".into(), "--listen".into()));
    assert_eq!(line("issuer"), ("\"https://variable\"".into(), "JETON_ISSUER".into()));
    assert_eq!(line("log.level"), ("\"warn\"".into(), "jeton.toml:6:11".into()));
    assert_eq!(line("log.format"), ("\"auto\"".into(), "default".into()));
    assert_eq!(effective.config.issuer.unwrap().as_str(), "https://variable");
}

#[test]
fn mistakes_of_all_sources_are_told_at_once() {
    let scene = Scene::toml(
        "store.url = \"redis://h\"\n[limits]\nbody_byte = 1\n[tokens]\nttl_seconds = 90000\nprefix = \"j.t\"\n",
    )
    .variable("JETON_STORE_URL", "memory:")
    .variable("JETON_ADMIN__TOKEN_FILE", "absent")
    .flags(Flags { listen: Some("0.0.0.0:80".into()), admin_listen: Some("x".into()), ..Flags::default() });
    let found = scene.mistakes();
    let expected = [
        "jeton.toml:3:1: there is no `body_byte` in [limits]; did you mean `body_bytes`?",
        "jeton.toml:5:15: `tokens.ttl_seconds`: 90000 is more than tokens.ttl_seconds_max, 86400",
        "jeton.toml:6:10: `tokens.prefix`: must be",
        "JETON_ADMIN__TOKEN_FILE: absent cannot be read",
        "JETON_STORE_URL: is no variable of this service; did you mean `JETON_STORE__URL`?",
        "--admin-listen: `admin.listen`: `x` is no address",
        "--listen: `public.listen`: 0.0.0.0:80 is not loopback",
        "`issuer` is missing",
        "`keys.file` is missing",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
}

#[test]
fn a_key_that_was_given_wrongly_is_not_also_missing() {
    assert_eq!(Scene::toml("issuer = 1\nstore.url = 2\n").mistakes().len(), 2);
    assert_eq!(Scene::toml("issuer = \n").mistakes().len(), 1);
}

#[test]
fn secrets_come_from_files_relative_to_who_names_them() {
    let scene = Scene::toml(&format!("{LEAST}store.password_file = \"pw\"\nadmin.token_file = \"token\"\n"));
    let path = |name: &str| scene.folder.path().join(name);
    std::fs::write(path("pw"), "s3cret\n").unwrap();
    std::fs::write(path("token"), "0123456789abcdef0123456789abcdef\r\n").unwrap();
    let effective = scene.effective();
    assert_eq!(effective.config.store.password, Some(Secret::new(b"s3cret")));
    assert_eq!(effective.config.admin.token.as_ref().unwrap().expose().len(), 32);
    assert_eq!(effective.files(), [path("jeton.toml"), path("token"), path("pw")]);
    let shown = format!("{:?}{effective:?}", effective.show());
    assert!(!shown.contains("s3cret") && !shown.contains("0123456789"), "{shown}");
    std::fs::write(path("token"), "short\n").unwrap();
    assert!(scene.mistakes()[0].starts_with("jeton.toml:4:20: `admin.token`: the admin token has 5 characters"));
}

#[test]
fn a_variable_for_a_secret_stands_over_the_files_file() {
    let scene =
        Scene::toml(&format!("{LEAST}store.password_file = \"absent\"\n")).variable("JETON_STORE__PASSWORD", "env");
    assert_eq!(scene.effective().config.store.password, Some(Secret::new(b"env")));
}

#[test]
fn credentials_of_the_url_stand_under_their_keys() {
    let scene =
        Scene::toml("issuer=\"https://a\"\nkeys.file=\"k\"\nstore.url=\"redis://u:p@h:1/2\"\nstore.username=\"v\"\n");
    let effective = scene.effective();
    let store = &effective.config.store;
    assert_eq!((store.username.as_deref(), &store.password), (Some("v"), &Some(Secret::new(b"p"))));
    let shown = effective.show();
    assert_eq!(
        shown.iter().find(|one| one.path == "store.url").unwrap().value.as_deref(),
        Some("\"redis://u:…@h:1/2\"")
    );
    assert!(!format!("{effective:?}").contains("u:p@"));
}

#[test]
fn plain_http_elsewhere_must_be_meant() {
    let remote = |more: &str| Scene::toml(&format!("store.url = \"memory:\"\npublic.listen = \"0.0.0.0:1\"\n{more}"));
    assert_eq!(remote("issuer = \"https://a\"\n").mistakes().len(), 1);
    assert_eq!(remote("issuer = \"https://a\"\npublic.plain_http = \"any\"\n").mistakes(), [""; 0]);
    assert_eq!(Scene::toml("store.url=\"memory:\"\nissuer = \"http://a.example\"\n").mistakes().len(), 1);
    let warned = remote("issuer = \"http://a.example\"\npublic.plain_http = \"any\"\n").warnings();
    assert!(warned.iter().any(|warning| warning.contains("plain http")), "{warned:?}");
}

#[test]
fn doubtful_values_warn() {
    let scene = Scene::toml(
        "issuer=\"https://a\"\nkeys.file=\"k\"\n[store]\nurl=\"redis://h\"\nkey_prefix=\"a-long-prefix-in:\"\n\
         operation_timeout_ms=2000\ntls.ca_file=\"ca\"\n",
    );
    assert_eq!(scene.warnings().len(), 3, "{:?}", scene.warnings());
    assert!(Scene::toml(LEAST).warnings()[0].starts_with("jeton.toml:2:13: `store.url` keeps tokens in this process"));
    let on_redis = Scene::toml(
        "issuer=\"https://a\"\nkeys.file=\"k\"\nstore.url=\"redis://h\"\nlimits.live_tokens_per_client=5\n",
    );
    assert!(on_redis.mistakes()[0].contains("counts the tokens in `memory:` alone"), "{:?}", on_redis.mistakes());
    assert_eq!(Scene::toml(&format!("{LEAST}limits.live_tokens_per_client = 5\n")).mistakes(), [""; 0]);
    assert!(Scene::toml(&format!("{LEAST}store.key_prefix = \"a{{b}}\"\n")).mistakes()[0].contains("brace"));
}

#[test]
fn dev_needs_nothing_and_leaves_the_files_store_alone() {
    let scene = Scene::new(&[]).dev();
    let loaded = scene.load().unwrap();
    assert!(loaded.config.issuer.is_none() && loaded.config.limits.drain_delay_ms == 0 && loaded.warnings.is_empty());
    assert!(loaded.clients.clients.get("demo").is_some() && loaded.clients.clients.get("demo-api").is_some());
    let address = ListenAddress::parse("127.0.0.1:9", Path::new("")).unwrap();
    assert_eq!(loaded.config.issuer_when_listening(&address).unwrap().as_str(), "http://127.0.0.1:9");

    let scene = Scene::toml("issuer = \"https://a\"\nstore.url = \"redis://prod\"\nkeys.file = \"absent\"\n").dev();
    assert_eq!(scene.load().unwrap().config.store.url, store_url::StoreUrl::Memory);
    assert_eq!(scene.warnings().len(), 3);
    let scene = scene.flags(Flags { store: Some("redis://h".into()), ..Flags::default() });
    assert_eq!(scene.load().unwrap().config.store.url.to_string(), "redis://h:6379/0");
}

#[test]
fn dev_stays_on_loopback_unless_told() {
    let mut scene = Scene::new(&[]).dev().variable("JETON_ADMIN__LISTEN", "[::]:1");
    assert!(scene.mistakes()[0].contains("--dev-allow-remote"));
    scene.sources.dev = Some(Dev { allow_remote: true });
    assert_eq!(scene.mistakes(), [""; 0]);
}

#[test]
fn a_start_reads_clients_and_keys_and_tells_all_mistakes_together() {
    let scene = Scene::new(&[
        ("jeton.toml", "issuer=\"https://a\"\nlimits.workers = 1\nstore.url=\"redis://h\"\nkeys.file=\"jeton.keys\"\n"),
        ("clients.toml", "[[client]]\nclient_id = \"a\"\nscop = \"x\"\n"),
        ("jeton.keys", "last_id = 0\n"),
    ]);
    let found = scene.load().unwrap_err();
    assert_eq!(
        found.iter().map(|one| one.split(' ').next().unwrap()).collect::<Vec<_>>(),
        ["clients.toml:1:1:", "clients.toml:3:1:", "jeton.keys:1:11:", "jeton.toml:2:8:"],
        "{found:#?}"
    );
    assert!(found[3].ends_with("did you mean `public.workers`?"), "{}", found[3]);
}

#[test]
fn a_missing_clients_file_stops_the_start_but_not_in_dev() {
    let scene = Scene::toml(LEAST);
    assert!(scene.load().unwrap_err()[0].starts_with("clients.toml: the clients file cannot be read"));
    let file = Sources { config_file: Some(scene.folder.path().join("absent.toml")), ..scene.sources.clone() };
    assert!(file.read().unwrap_err()[0].what.starts_with("cannot be read"));
}

#[test]
fn the_listener_that_asks_for_certificates_has_one_to_show_and_a_place_of_its_own() {
    let mtls = |text: &str| Scene::toml(&format!("{LEAST}[mtls]\nlisten = \"127.0.0.1:4446\"\n{text}")).mistakes();
    assert!(mtls("")[0].contains("`mtls.listen`: needs a certificate"), "{:?}", mtls(""));
    let one = mtls("certificate_file = \"a\"\n");
    assert!(one.iter().any(|found| found.contains("needs mtls.private_key_file beside it")), "{one:?}");
    let shown = "certificate_file = \"a\"\nprivate_key_file = \"b\"\n";
    let taken = Scene::toml(&format!("{LEAST}[mtls]\nlisten = \"127.0.0.1:4444\"\n{shown}")).mistakes();
    assert!(taken.iter().any(|found| found.contains("is also the address of public.listen")), "{taken:?}");
    let plain = mtls(&format!("{shown}url = \"http://auth.example.com\"\n"));
    assert!(plain.iter().any(|found| found.contains("`mtls.url`: http is for a loopback host alone")), "{plain:?}");

    let unused = Scene::toml(&format!("{LEAST}[mtls]\nclient_ca_file = \"a\"\n"));
    let told = |scene: &Scene| {
        scene.effective().warnings.iter().any(|warning| warning.to_string().contains("there is no mtls.listen"))
    };
    assert!(told(&unused));
    let by_proxy = Scene::toml(&format!(
        "{LEAST}[public]\nclient_certificate_header = \"xfcc\"\n[mtls]\nclient_ca_file = \"a\"\n"
    ));
    assert!(!told(&by_proxy), "a proxy tells of certificates");
}

#[test]
fn networks_of_proxies_are_listed_or_parted_by_commas() {
    let listed = Scene::toml(&format!("{LEAST}[public]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n"));
    let networks = listed.effective().config.public.proxies.networks;
    let variable = Scene::toml(LEAST).variable("JETON_PUBLIC__TRUSTED_PROXIES", "10.0.0.0/8, ::1");
    assert_eq!((networks.len(), networks), (2, variable.effective().config.public.proxies.networks));
    let shown = listed.effective().show();
    let value = shown.iter().find(|one| one.path == "public.trusted_proxies").unwrap().value.clone().unwrap();
    assert_eq!(value, "[\"10.0.0.0/8\", \"::1\"]");
    let wrong = Scene::toml(&format!("{LEAST}[public]\ntrusted_proxies = [\"10.0.0.1/8\"]\n")).mistakes();
    assert!(wrong[0].contains("`10.0.0.1/8` is an address within a network, not the network itself"), "{wrong:?}");
    let header = format!("{LEAST}[public]\nclient_certificate_header = \"xfcc\"\n");
    let everybody = Scene::toml(&format!("{header}trusted_proxies = [\"10.0.0.0/8\", \"0.0.0.0/0\"]\n")).mistakes();
    assert!(everybody[0].contains("everybody would be a proxy"), "{everybody:?}");
    let told = |text: &str| {
        let warnings = Scene::toml(&format!("{header}{text}")).effective().warnings;
        warnings.iter().any(|warning| warning.to_string().contains("no proxy is trusted (public.trusted_proxies)"))
    };
    assert!(told("") && !told("trusted_proxies = [\"::1\"]\n") && !told("listen = \"unix:jeton.sock\"\n"));
}
