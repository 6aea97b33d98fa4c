//! URLs that name several hosts: `redis+sentinel://host:26379,host2:26379/mymaster/0` and `redis+cluster://host:7000,host2:7001`.

use url::{Host, Url};

use super::{ParsedUrl, UrlError, decode, not_a_url, password, refuse, username};
use crate::store::redis::endpoint::{Address, Endpoint};

const SENTINEL_PORT: u16 = 26379;
const CLUSTER_PORT: u16 = 6379;

/// Whether URLs of this scheme name several hosts.
pub(super) fn are_named_by(scheme: &str) -> bool {
    matches!(scheme, "redis+sentinel" | "rediss+sentinel" | "redis+cluster" | "rediss+cluster")
}

/// Reads a URL of such a scheme, of which `rest` stands behind `://`.
pub(super) fn parse(scheme: &str, rest: &str) -> Result<ParsedUrl, UrlError> {
    let (authority, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    // A URL has one host: who and what stand in one that has any.
    let url = format!("{scheme}://{user}@host{behind}");
    let url = Url::parse(&url).map_err(|error| not_a_url(&error.to_string()))?;
    if url.fragment().is_some() || url.query().is_some() {
        return Err(refuse("nothing may stand behind ? or #; in a password write them as %3F and %23"));
    }
    let tls = scheme.starts_with("rediss");
    let path = url.path().trim_start_matches('/');
    let (endpoint, database) = if scheme.ends_with("+sentinel") {
        let sentinels = addresses(hosts, SENTINEL_PORT)?;
        let (service, database) = parse_service(path)?;
        (Endpoint::Sentinel { sentinels, service, tls }, database)
    } else {
        let seeds = addresses(hosts, CLUSTER_PORT)?;
        if !path.is_empty() {
            return Err(refuse("a cluster has no databases: nothing may stand behind its hosts"));
        }
        (Endpoint::Cluster { seeds, tls }, 0)
    };
    Ok(ParsedUrl { endpoint, username: username(&url)?, password: password(&url)?, database })
}

/// `mymaster` or `mymaster/0`.
fn parse_service(path: &str) -> Result<(String, u32), UrlError> {
    let hint = "write redis+sentinel://host:26379,host2:26379/mymaster/0";
    let (service, database) = path.split_once('/').unwrap_or((path, "0"));
    if service.is_empty() {
        return Err(refuse(format!("the name that sentinels give to the primary is missing; {hint}")));
    }
    let database = database.parse().map_err(|_| refuse(format!("the database is a number; {hint}")))?;
    Ok((decode(service, "the name of the primary")?.into_owned(), database))
}

fn addresses(hosts: &str, port_left_out: u16) -> Result<Vec<Address>, UrlError> {
    hosts.split(',').map(|host| address(host, port_left_out)).collect()
}

fn address(text: &str, port_left_out: u16) -> Result<Address, UrlError> {
    let fault = || refuse("one of the hosts is none; write them as host:7000,host2:7001");
    let url = Url::parse(&format!("redis://{text}")).map_err(|_| fault())?;
    let host = match url.host() {
        Some(Host::Domain(name)) if !name.is_empty() => decode(name, "a host")?.into_owned(),
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(Host::Ipv4(address)) => address.to_string(),
        _ => return Err(fault()),
    };
    Ok(Address { host, port: url.port().unwrap_or(port_left_out) })
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use crate::oauth::secret::Secret;

    fn address(host: &str, port: u16) -> Address {
        Address { host: host.into(), port }
    }

    #[test]
    fn sentinels_and_the_name_of_the_primary_are_read() {
        let both = vec![address("h", 26379), address("::1", 1)];
        let cases = [
            ("redis+sentinel://h,[::1]:1/mymaster", "mymaster", None, None, 0),
            ("redis+sentinel://h:26379,[::1]:1/my%20one/3", "my one", None, None, 3),
            ("rediss+sentinel://jet%40on:p%2Cs%40@h,[::1]:1/m/0", "m", Some("jet@on"), Some("p,s@"), 0),
            ("rediss+sentinel://:only@h,[::1]:1/m", "m", None, Some("only"), 0),
        ];
        for (url, service, user, password, database) in cases {
            let parsed = parse(url).unwrap();
            let tls = url.starts_with("rediss");
            let endpoint = Endpoint::Sentinel { sentinels: both.clone(), service: service.into(), tls };
            assert_eq!((parsed.endpoint, parsed.database), (endpoint, database), "{url}");
            assert_eq!(parsed.username.as_deref(), user, "{url}");
            assert_eq!(parsed.password.as_ref().map(Secret::expose), password.map(str::as_bytes), "{url}");
        }
        let shown = parse("rediss+sentinel://u:p@h,[::1]:1/m/2").unwrap().endpoint.to_string();
        assert_eq!(shown, "rediss+sentinel://h:26379,[::1]:1/m");
    }

    #[test]
    fn nodes_of_a_cluster_are_read() {
        let parsed = parse("rediss+cluster://jeton:pass@h:7000,h2").unwrap();
        let seeds = vec![address("h", 7000), address("h2", 6379)];
        assert_eq!(parsed.endpoint, Endpoint::Cluster { seeds, tls: true });
        assert_eq!((parsed.username.as_deref(), parsed.database), (Some("jeton"), 0));
        assert!(parsed.endpoint.speaks_tls());
        assert_eq!(parsed.endpoint.to_string(), "rediss+cluster://h:7000,h2:6379");
        assert!(parse("redis+cluster://127.0.0.1/").is_ok());
    }

    #[test]
    fn mistakes_are_told_without_the_password() {
        let cases = [
            ("redis+sentinel://h", "name that sentinels give"),
            ("redis+sentinel://h/", "name that sentinels give"),
            ("redis+sentinel://h/m/x", "database is a number"),
            ("redis+sentinel://h/m/0/1", "database is a number"),
            ("redis+sentinel://h,/m", "one of the hosts"),
            ("redis+sentinel:///m", "one of the hosts"),
            ("redis+sentinel://h h2:1/m", "one of the hosts"),
            ("redis+sentinel://u:s3cret/@h/m", "one of the hosts"),
            ("redis+sentinel://u:s3cret#@h/m", "%23"),
            ("redis+sentinel://u:s3cret%zz@h/m", "%25"),
            ("redis+sentinel://u:s3cret@h:99999/m", "one of the hosts"),
            ("redis+cluster://u:s3cret@h:7000/0", "no databases"),
            ("redis+cluster://u:s3cret@h:7000?x=1", "%3F"),
            ("redis+cluster://", "one of the hosts"),
            ("redis+cluster:h", "redis+cluster://"),
        ];
        for (url, expected) in cases {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("s3cret"), "{url}: {error}");
        }
    }
}
