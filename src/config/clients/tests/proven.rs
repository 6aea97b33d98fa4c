//! Clients that are proven by certificates, or by tokens of trusted issuers.

use super::*;
use crate::oauth::client_certificate::CertificateSubject;

fn client(members: &str) -> Vec<String> {
    mistakes(&format!("[[client]]\nclient_id = \"a\"\n{members}\n"))
}

fn only(found: &[String], expected: &str) {
    assert!(found.len() == 1 && found[0].contains(expected), "{expected}: {found:#?}");
}

#[test]
fn a_client_with_a_certificate_has_one_subject_and_no_secret() {
    let by_tls = |members: &str| client(&format!("token_endpoint_auth_method = \"tls_client_auth\"\n{members}"));
    let text = "[[client]]\nclient_id = \"a\"\ntoken_endpoint_auth_method = \"tls_client_auth\"\ntls_client_auth_san_ip = \"192.0.2.7\"";
    let file = read(text);
    assert!(file.mistakes.is_empty(), "{:#?}", file.mistakes);
    let registration = &file.clients[0].registration;
    assert_eq!(registration.certificate_subject, Some(CertificateSubject::Ip("192.0.2.7".parse().unwrap())));
    assert!(
        advice::advise(file.clients.iter(), &[], TERMS.certificates)
            .iter()
            .all(|warning| !warning.to_string().contains("secret"))
    );

    only(&by_tls(""), "has no subject that its certificate must have; write one of tls_client_auth_subject_dn");
    let dn = "tls_client_auth_subject_dn = \"CN=a\"";
    only(&by_tls(&format!("{dn}\ntls_client_auth_san_dns = \"a.example\"")), "beside `tls_client_auth_subject_dn`");
    only(&by_tls(&format!("{dn}\nclient_secret_hash = \"{}\"", hash())), "has no `client_secret_hash`; take it out");
    for (member, expected) in [
        ("tls_client_auth_subject_dn = \"billing\"", "an attribute without `=`"),
        ("tls_client_auth_subject_dn = \"XX=a\"", "an attribute of no known name"),
        ("tls_client_auth_san_ip = \"192.0.2\"", "no IP address"),
        ("tls_client_auth_san_email = \"a\"", "no address of mail"),
        ("tls_client_auth_san_dns = \"\"", "it is empty"),
        ("tls_client_auth_san_uri = 1", "must be"),
    ] {
        only(&by_tls(member), expected);
    }
    only(&client(&format!("client_secret_hash = \"{}\"\n{dn}", hash())), "is for the method `tls_client_auth` alone");
}

#[test]
fn a_client_with_a_certificate_of_its_own_has_registered_it() {
    let own =
        |members: &str| client(&format!("token_endpoint_auth_method = \"self_signed_tls_client_auth\"\n{members}"));
    only(&own(""), "has no certificates; give it `jwks`, each key with its `x5c`");
    only(&own("jwks = { keys = [] }"), "holds no keys");
    for x5c in ["", ", x5c = []", ", x5c = [\"!\"]", ", x5c = [\"AAAA\"]", ", x5c = [1]"] {
        only(&own(&format!("jwks = {{ keys = [{{ kty = \"EC\"{x5c} }}] }}")), "a key without a certificate in `x5c`");
    }
}

/// What `openssl x509 -req -signkey` makes where no extensions are named.
const VERSION_1: &str = "MIIBEzCBuwIULo4j1Q3AAy4KFFRJfWV2AHXUo78wCgYIKoZIzj0EAwIwDDEKMAgGA1UEAwwBYTAgFw0yNjExMjcyMDU2NTBaGA8yMTI2MTEwMzIwNTY1MFowDDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLi7FBm+L4LhVa0bK5tACAfwMbnZXkcMPL4pr4ssWbGv66ALT/SrCZf1SU6oUHjug5kX/avvOAzo5xcADwkcfVgwCgYIKoZIzj0EAwIDRwAwRAIgP1fEut4kzgjB9ugLLLpnhrDxBnohPDG9XKr8VZDsabUCIHah2ehX/v0a9rs5PaDZscJtfaCn5bdBVTYyDZRHPcmG";

#[test]
fn a_key_is_that_of_its_certificate_and_has_no_private_part() {
    let made = |algorithm| {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        (data_encoding::BASE64.encode(certificate.der()), key.public_key_raw().to_vec())
    };
    let base64url = |bytes: &[u8]| data_encoding::BASE64URL_NOPAD.encode(bytes);
    let found = |members: &str, x5c: &str| {
        let key = format!("{{ {members}, x5c = [\"{x5c}\"] }}");
        client(&format!("token_endpoint_auth_method = \"self_signed_tls_client_auth\"\njwks = {{ keys = [{key}] }}"))
    };
    let (of_ec, point) = made(&rcgen::PKCS_ECDSA_P256_SHA256);
    let (of_ed, octets) = made(&rcgen::PKCS_ED25519);
    let (x, y, octets) = (base64url(&point[1..33]), base64url(&point[33..]), base64url(&octets));
    let ec = format!("kty = \"EC\", crv = \"P-256\", x = \"{x}\", y = \"{y}\"");
    let okp = format!("kty = \"OKP\", crv = \"Ed25519\", x = \"{octets}\"");
    for (members, x5c) in [(ec.as_str(), &of_ec), ("kty = \"EC\"", &of_ec), (&okp, &of_ed), ("use = \"sig\"", &of_ed)] {
        assert_eq!(found(members, x5c), [""; 0], "{members}");
    }
    let swapped = format!("kty = \"EC\", x = \"{y}\", y = \"{x}\"");
    for (members, x5c) in [
        (ec.as_str(), &of_ed),
        (&okp, &of_ec),
        ("kty = \"RSA\"", &of_ec),
        (&swapped, &of_ec),
        ("kty = \"EC\", x = 1", &of_ec),
    ] {
        only(&found(members, x5c), "a key is not that of its certificate in `x5c`");
    }
    only(&found(&format!("{ec}, d = \"AA\""), &of_ec), "private part");
    only(&found("kty = \"EC\"", VERSION_1), "is not of X.509 version 3");
}

#[test]
fn a_client_whose_certificate_nobody_asks_for_is_told() {
    let text = "[[client]]\nclient_id = \"a\"\naudience = [\"https://a\"]\ntoken_endpoint_auth_method = \"tls_client_auth\"\ntls_client_auth_san_ip = \"192.0.2.7\"\n";
    let warnings = |text: &str, certificates| {
        let file = read(text);
        advice::advise(file.clients.iter(), &[], certificates).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(warnings(text, CertificatesTaken::All), [""; 0]);
    only(&warnings(text, CertificatesTaken::Registered), "nobody is believed who signs one (mtls.client_ca_file)");
    only(&warnings(text, CertificatesTaken::None), "none is asked for (mtls.listen, public.client_certificate_header)");
    assert_eq!(warnings(&format!("{text}disabled = true"), CertificatesTaken::None), [""; 0]);
}

#[test]
fn rules_that_one_token_may_fit_are_told() {
    let warnings = |claims: [&str; 2]| {
        let client = |id: &str, claims: &str| {
            format!(
                "[[client]]\nclient_id = \"{id}\"\naudience = [\"https://a\"]\nworkloads = [{{ issuer = \"https://i\", sub = \"s\"{claims} }}]\n"
            )
        };
        let issuer = format!("[[trusted_issuer]]\nissuer = \"https://i\"\njwks = {{ keys = [{P256}] }}\n");
        let file = read(&format!("{issuer}{}{}", client("b", claims[0]), client("a", claims[1])));
        assert!(file.mistakes.is_empty(), "{:#?}", file.mistakes);
        let issuers: Vec<_> = file.issuers.iter().map(|read| read.issuer.clone()).collect();
        advice::advise(file.clients.iter(), &issuers, TERMS.certificates)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let told = "may prove client `a` and client `b`: then it proves `a`";
    only(&warnings(["", ""]), told);
    only(&warnings([", claims = { env = \"x\" }", ""]), told);
    only(&warnings([", claims = { env = \"x\" }", ", claims = { ref = \"y\" }"]), told);
    assert_eq!(warnings([", claims = { env = \"x\" }", ", claims = { env = \"y\" }"]), [""; 0]);
}

#[test]
fn a_trusted_issuer_has_a_name_and_keys_and_is_trusted_once() {
    let issuer = |members: &str| mistakes(&format!("[[trusted_issuer]]\n{members}\n"));
    let keys = format!("jwks = {{ keys = [{P256}] }}");
    assert_eq!(issuer(&format!("issuer = \"https://a\"\n{keys}")), [""; 0]);
    only(&issuer(&keys), "`issuer` is missing");
    only(&issuer(&format!("issuer = \"\"\n{keys}")), "`issuer` is empty");
    only(&issuer("issuer = \"https://a\""), "a trusted issuer without keys; give it `jwks_file`");
    only(&issuer(&format!("issuer = \"https://a\"\n{keys}\nmax_lifetime_seconds = 0")), "not between 1 and 86400");
    only(
        &issuer(&format!("issuer = \"https://a\"\n{keys}\nmax_lifetime_second = 1")),
        "did you mean `max_lifetime_seconds`?",
    );
    let twice = format!("issuer = \"https://a\"\n{keys}\n[[trusted_issuer]]\nissuer = \"https://a\"\n{keys}");
    only(&issuer(&twice), "is trusted twice: first at c.toml:2:10");
    only(&mistakes("trusted_isuer = 1"), "did you mean `[[trusted_issuer]]`?");
}

#[test]
fn w15_no_other_file_takes_an_issuer_and_no_client_is_called_as_one() {
    let other_key = P256.replacen('{', "{ kid = \"other\",", 1);
    let issuer = |key: &str| format!("[[trusted_issuer]]\nissuer = \"https://i\"\njwks = {{ keys = [{key}] }}\n");
    let scene = Scene::new(&[("b.toml", &issuer(P256))]);
    let (mut source, first) = scene.open("");
    assert_eq!(first.diff.issuers, ["https://i"]);
    // Neither before it nor behind it.
    for name in ["a.toml", "c.toml"] {
        scene.write(name, &(issuer(&other_key) + &super::client("x", "")));
        let read = source.reload().unwrap();
        assert!(read.mistakes[0].what.contains("is trusted twice: first at"), "{:?}", read.mistakes);
        assert!(read.diff.is_empty() && read.clients.is_empty(), "{:?}", read.diff);
        scene.write(name, &super::client("https://i", ""));
        let read = source.reload().unwrap();
        assert!(read.mistakes[0].what.contains("is called as a trusted issuer is"), "{:?}", read.mistakes);
        assert!(read.diff.is_empty() && read.clients.is_empty(), "{:?}", read.diff);
        std::fs::remove_file(scene.0.path().join(name)).unwrap();
    }
    let both = issuer(P256) + &super::client("https://i", "");
    scene.write("b.toml", &both);
    assert_eq!(source.reload().unwrap().mistakes.len(), 1);
    scene.write("b.toml", &issuer(&other_key));
    assert_eq!(source.reload().unwrap().diff.issuers, ["https://i"]);
    std::fs::remove_file(scene.0.path().join("b.toml")).unwrap();
    assert_eq!(source.reload().unwrap().diff.issuers, ["https://i"]);
    assert!(ClientsSource::open(scene.0.path(), TERMS, Vec::new()).is_ok());
}

#[test]
fn a_workload_names_its_issuer_and_subject() {
    only(&client("workloads = [{ sub = \"b\" }]"), "`issuer` is missing");
    only(&client("workloads = [{ issuer = \"https://a\" }]"), "`sub` is missing");
    only(&client("workloads = [{ issuer = \"https://a\", sub = \"b\", subject = \"c\" }]"), "has no `subject`");
    let file = read("[[client]]\nclient_id = \"a\"\nworkloads = [{ issuer = \"https://a.example\", sub = \"b\" }]");
    assert!(file.mistakes.is_empty(), "{:#?}", file.mistakes);
    let warnings: Vec<String> =
        advice::advise(file.clients.iter(), &[], TERMS.certificates).iter().map(ToString::to_string).collect();
    let told = |what: &str| warnings.iter().any(|warning| warning.contains(what));
    assert!(told("proven by tokens of `https://a.example`, which is no [[trusted_issuer]]") && !told("no secret"));
}

#[test]
fn w14_g05_keys_are_here_or_at_a_place_that_may_be_reached() {
    let signs = "token_endpoint_auth_method = \"private_key_jwt\"";
    let place = "jwks_uri = \"https://keys.example/jwks\"";
    let file = read(&format!("[[client]]\nclient_id = \"a\"\n{signs}\n{place}"));
    assert!(file.mistakes.is_empty(), "{:#?}", file.mistakes);
    assert_eq!(file.clients[0].registration.jwks_uri.as_ref().unwrap().to_string(), "https://keys.example/jwks");
    assert!(
        advice::advise(file.clients.iter(), &[], CertificatesTaken::All)
            .iter()
            .all(|one| !one.to_string().contains("secret"))
    );
    let signing = |members: &str| client(&format!("{signs}\n{members}"));
    only(&signing(&format!("{place}\njwks = {{ keys = [{P256}] }}")), "`jwks_uri` stands beside `jwks`");
    only(&signing("jwks_uri = \"http://keys.example/jwks\""), "`jwks_uri` is not https");
    only(&signing("jwks_uri = \"https://u:p@keys.example/jwks\""), "one with a user or a password");
    only(&signing("jwks_uri = 1"), "must be text");
    only(&signing(&format!("{place}\nclient_secret_hash = \"{}\"", hash())), "has no `client_secret_hash`");
    only(
        &client(&format!("token_endpoint_auth_method = \"self_signed_tls_client_auth\"\n{place}")),
        "certificates are not fetched",
    );
    let unused = read(&format!("[[client]]\nclient_id = \"a\"\nclient_secret_hash = \"{}\"\n{place}", hash()));
    assert!(unused.clients[0].registration.jwks_uri.is_none());
    assert!(
        unused.clients[0].warnings.iter().any(|warning| warning.to_string().contains("`jwks_uri` is used for nothing"))
    );

    let issuer = |members: &str| mistakes(&format!("[[trusted_issuer]]\nissuer = \"https://a\"\n{members}\n"));
    assert_eq!(issuer(place), [""; 0]);
    only(&issuer(&format!("{place}\njwks_ca_file = \"no-such-file\"")), "no-such-file cannot be read");
    only(
        &issuer(&format!("jwks = {{ keys = [{P256}] }}\njwks_token_file = \"t\"")),
        "is for fetching from a `jwks_uri`",
    );
}

#[test]
fn w14_an_address_that_is_not_public_is_a_mistake_unless_it_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clients.toml");
    for (host, allowed, is_good) in [
        ("keys.example", "", true),
        ("1.1.1.1", "", true),
        ("127.0.0.1", "", false),
        ("0x7f.1", "", false),
        ("[::ffff:169.254.169.254]", "", false),
        ("10.1.2.3", "10.0.0.0/8", true),
        ("10.1.2.3", "192.168.0.0/16", false),
    ] {
        let text = format!(
            "[[client]]\nclient_id = \"a\"\nclient_secret_hash = \"{}\"\njwks_uri = \"https://{host}/\"\n",
            hash()
        );
        std::fs::write(&path, text).unwrap();
        let networks = allowed.split_terminator(',').map(|network| network.parse().unwrap()).collect();
        let terms = Terms { reachable: Reachable::with(networks), ..TERMS };
        let found = ClientsSource::open(&path, terms, Vec::new()).map(drop);
        assert_eq!(found.is_ok(), is_good, "{host}");
        if let Err(found) = found {
            let told = found[0].to_string();
            assert!(told.contains(":4:12: ") && told.contains("is no public address; name its network"), "{told}");
        }
    }
}
