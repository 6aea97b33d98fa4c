//! What `INFO` says of a server, and whether such a server is fit to keep tokens.

/// Lines of `INFO` that matter here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ServerInfo {
    run_id: String,
    replication_id: String,
    redis_version: String,
    valkey_version: String,
    mode: String,
    role: String,
    maxmemory_policy: String,
}

/// One life of one server: its process, and the history that its data belong to. A restart and a failover make another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ServerId {
    pub(super) run_id: String,
    pub(super) replication_id: String,
}

/// Why a server is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It will not do as long as it is what it is.
    Wrong(String),
    /// It may do in a while, or another will.
    NotPrimary(String),
}

impl ServerInfo {
    /// Takes in a reply of `INFO`, one section or several.
    pub(super) fn read(&mut self, text: &str) {
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            let place = match name {
                "run_id" => &mut self.run_id,
                "master_replid" => &mut self.replication_id,
                "redis_version" => &mut self.redis_version,
                "valkey_version" => &mut self.valkey_version,
                "redis_mode" | "server_mode" => &mut self.mode,
                "role" => &mut self.role,
                "maxmemory_policy" => &mut self.maxmemory_policy,
                _ => continue,
            };
            value.trim_end().clone_into(place);
        }
    }

    /// Which life of which server it is.
    pub(super) fn id(&self) -> ServerId {
        ServerId { run_id: self.run_id.clone(), replication_id: self.replication_id.clone() }
    }

    /// The history that its data belong to now.
    pub(super) fn replication_id(&self) -> &str {
        &self.replication_id
    }

    /// Whether tokens may be kept there.
    pub(super) fn judge(&self, require_noeviction: bool, in_cluster: bool) -> Result<(), Unfit> {
        self.judge_version()?;
        match self.mode.as_str() {
            "sentinel" => return Err(Unfit::Wrong("it is a sentinel, which keeps no data".into())),
            "cluster" if !in_cluster => {
                return Err(Unfit::Wrong("it is a node of a cluster: write redis+cluster:// in its URL".into()));
            }
            "standalone" if in_cluster => {
                return Err(Unfit::Wrong("it is no node of a cluster: write redis:// in its URL".into()));
            }
            _ => {}
        }
        self.judge_role()?;
        match self.evicts() {
            Some(policy) if require_noeviction => {
                Err(Unfit::Wrong(format!("its maxmemory-policy is {policy} and store.require_noeviction is set")))
            }
            _ => Ok(()),
        }
    }

    /// Whether it may be written to and believed: a replica's data are stale.
    pub(super) fn judge_role(&self) -> Result<(), Unfit> {
        match self.role.as_str() {
            "master" => Ok(()),
            other => Err(Unfit::NotPrimary(format!("its role is {other:?}, not master"))),
        }
    }

    /// Whether it has said what it is.
    pub(super) fn is_known(&self) -> bool {
        !self.maxmemory_policy.is_empty()
    }

    /// The policy under which a full server would throw tokens away, if it is one that would.
    pub(super) fn evicts(&self) -> Option<&str> {
        Some(self.maxmemory_policy.as_str()).filter(|policy| *policy != "noeviction")
    }

    fn judge_version(&self) -> Result<(), Unfit> {
        // Valkey goes on calling itself Redis 7.2.4 as well.
        let (name, version, least) = if self.valkey_version.is_empty() {
            ("Redis", &self.redis_version, (7, 0))
        } else {
            ("Valkey", &self.valkey_version, (7, 2))
        };
        let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0_u32));
        if (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < least {
            let (major, minor) = least;
            return Err(Unfit::Wrong(format!("{name} {version} is too old, it must be {major}.{minor} or later")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(lines: &str) -> ServerInfo {
        let mut info = ServerInfo::default();
        info.read("# Server\r\nredis_mode:standalone\r\nredis_version:7.0.15\r\n");
        info.read("# Replication\r\nrole:master\r\nmaxmemory_policy:noeviction\r\n");
        info.read(lines);
        info
    }

    #[test]
    fn old_servers_sentinels_cluster_nodes_and_replicas_are_refused_plainly() {
        assert_eq!(info("").judge(true, false), Ok(()));
        assert_eq!(info("redis_version:8.2.1\r\n").judge(true, false), Ok(()));
        assert_eq!(info("redis_version:7.2.4\r\nvalkey_version:8.1.0\r\n").judge(true, false), Ok(()));
        assert_eq!(info("redis_version:255.255.255\r\n").judge(true, false), Ok(()));
        let refused = |lines| match info(lines).judge(false, false) {
            Err(Unfit::Wrong(why) | Unfit::NotPrimary(why)) => why,
            Ok(()) => panic!("{lines} was taken"),
        };
        assert!(refused("redis_version:6.2.14\r\n").contains("Redis 6.2.14 is too old, it must be 7.0"));
        assert!(refused("redis_version:7.2.4\r\nvalkey_version:7.1.0\r\n").contains("Valkey 7.1.0"));
        assert!(refused("redis_version:\r\n").contains("too old"));
        assert!(refused("redis_mode:cluster\r\n").contains("cluster"));
        assert!(refused("redis_mode:sentinel\r\n").contains("sentinel"));
        assert_eq!(info("redis_mode:cluster\r\n").judge(true, true), Ok(()));
        assert!(matches!(info("").judge(true, true), Err(Unfit::Wrong(_))));
        assert!(matches!(info("role:slave\r\n").judge(false, false), Err(Unfit::NotPrimary(_))));
    }

    #[test]
    fn a_server_that_evicts_is_told_and_refused_where_asked() {
        let evicting = info("maxmemory_policy:allkeys-lru\r\n");
        assert_eq!(evicting.evicts(), Some("allkeys-lru"));
        assert_eq!(evicting.judge(false, false), Ok(()));
        assert!(matches!(evicting.judge(true, false), Err(Unfit::Wrong(_))));
        assert_eq!(info("").evicts(), None);
    }
}
