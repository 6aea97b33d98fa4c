//! The flags that say where the configuration is and what of it is otherwise.

use std::path::PathBuf;

use clap::Args;

use crate::config::{Dev, Flags, Sources, environment};

/// Flags of every subcommand that reads the configuration.
#[derive(Args, Clone, Debug)]
pub(super) struct SourceArguments {
    /// The configuration file [default: jeton.toml in the working folder, where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Need no file, no Redis and no environment: store in memory, keys made at start, demo clients, loopback only
    #[arg(long)]
    dev: bool,
    /// Let --dev listen on other addresses than loopback, as inside a container
    #[arg(long, requires = "dev")]
    dev_allow_remote: bool,
    /// Where clients and resource servers are listened to: IP:PORT or unix:PATH [default: 127.0.0.1:4444]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Where metrics, health and /admin/ are: IP:PORT or unix:PATH [default: 127.0.0.1:4445]
    #[arg(long, value_name = "ADDR")]
    admin_listen: Option<String>,
    /// The store: memory: or redis:// rediss:// redis+unix://; a password belongs in store.password_file, not here
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// The URL by which clients know this service
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
}

impl SourceArguments {
    /// The sources: file, environment and these flags.
    pub(super) fn sources(self) -> Sources {
        let Self { config, dev, dev_allow_remote, listen, admin_listen, store, issuer } = self;
        Sources {
            config_file: config,
            environment: environment::from_process(),
            flags: Flags { listen, admin_listen, store, issuer },
            dev: dev.then_some(Dev { allow_remote: dev_allow_remote }),
            folder: PathBuf::new(),
        }
    }
}
