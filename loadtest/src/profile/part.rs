//! Which part a sample belongs to, by the functions on its stack.
//!
//! In the kernel the system call decides, since all that happens there is for its sake; in the program the innermost function: its
//! callers are not known where compilers leave frame pointers out. So what is inlined counts for whom it was inlined into.

use std::io::{self, BufRead};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Receive,
    Send,
    Poll,
    Kernel,
    Hyper,
    Tokio,
    Http,
    Actors,
    Protocol,
    Store,
    Redis,
    Ring,
    Allocator,
    Memory,
    Rest,
}

impl Part {
    pub(super) const ALL: [Self; 15] = [
        Self::Receive,
        Self::Send,
        Self::Poll,
        Self::Kernel,
        Self::Hyper,
        Self::Tokio,
        Self::Http,
        Self::Actors,
        Self::Protocol,
        Self::Store,
        Self::Redis,
        Self::Ring,
        Self::Allocator,
        Self::Memory,
        Self::Rest,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Receive => "kernel: receive",
            Self::Send => "kernel: send",
            Self::Poll => "kernel: wait for sockets",
            Self::Kernel => "kernel: else",
            Self::Hyper => "hyper",
            Self::Tokio => "tokio",
            Self::Http => "jeton: HTTP",
            Self::Actors => "jeton: actors",
            Self::Protocol => "jeton: the protocol",
            Self::Store => "jeton: stores",
            Self::Redis => "commands and replies of Redis",
            Self::Ring => "ring: hashes, seals",
            Self::Allocator => "allocator",
            Self::Memory => "copying and comparing memory",
            Self::Rest => "the rest",
        }
    }

    /// `frames`: function and where it is, the innermost first.
    fn of(frames: &[(String, String)]) -> Self {
        let Some((function, file)) = frames.first() else { return Self::Rest };
        if file.starts_with("[kernel") || file.ends_with(".ko") {
            return frames.iter().find_map(|(function, _)| of_system_call(function)).unwrap_or(Self::Kernel);
        }
        of_function(function)
    }
}

fn of_system_call(function: &str) -> Option<Part> {
    let call = function.strip_prefix("__x64_sys_").or_else(|| function.strip_prefix("__arm64_sys_"))?;
    Some(match call {
        "recvfrom" | "recvmsg" | "read" | "readv" => Part::Receive,
        "sendto" | "sendmsg" | "write" | "writev" => Part::Send,
        call if call.starts_with("epoll") => Part::Poll,
        _ => Part::Kernel,
    })
}

fn of_function(function: &str) -> Part {
    // `<jeton::http::io::Watched<S> as tokio::io::AsyncRead>::poll_read` is jeton's.
    let path =
        function.trim_start_matches(['<', '&', '*', '(', '[']).trim_start_matches("mut ").trim_start_matches("dyn ");
    let in_jeton = path.strip_prefix("jeton::");
    match path.split("::").next().unwrap_or_default() {
        "jeton" => match in_jeton.and_then(|path| path.split("::").next()).unwrap_or_default() {
            "http" => Part::Http,
            "actors" => Part::Actors,
            "oauth" => Part::Protocol,
            "store" if path.starts_with("jeton::store::redis") => Part::Redis,
            "store" => Part::Store,
            _ => Part::Rest,
        },
        "hyper" | "hyper_util" | "httparse" | "http" | "http_body_util" | "h2" => Part::Hyper,
        "tokio" | "tokio_util" | "mio" => Part::Tokio,
        "redis" | "combine" => Part::Redis,
        "ring" => Part::Ring,
        name if name.starts_with("ring_core") => Part::Ring,
        name if name.contains("malloc") || name.contains("calloc") || name.contains("free") => Part::Allocator,
        "realloc" | "_int_realloc" | "__rust_alloc" | "__rust_dealloc" | "tcache_get" | "tcache_put" => Part::Allocator,
        name if name.contains("memcpy") || name.contains("memmove") => Part::Memory,
        name if name.contains("memset") || name.contains("memcmp") || name.contains("bcmp") => Part::Memory,
        _ => Part::Rest,
    }
}

/// How the time of many samples is shared among the parts.
#[derive(Debug, Default)]
pub(super) struct Shared {
    samples: u64,
    time: [u64; Part::ALL.len()],
}

impl Shared {
    /// Of what `perf script -F period,ip,sym,dso` says: for each sample a line with its period, a line for each frame, an empty line.
    pub(super) fn of(stacks: impl BufRead) -> io::Result<Self> {
        let mut shared = Self::default();
        let (mut period, mut frames) = (0, Vec::new());
        for line in stacks.lines() {
            let line = line?;
            let line = line.trim();
            match (line.is_empty(), line.parse()) {
                (true, _) => shared.add(std::mem::take(&mut period), &std::mem::take(&mut frames)),
                (false, Ok(of_this)) if frames.is_empty() => period = of_this,
                _ => frames.extend(frame(line)),
            }
        }
        shared.add(period, &frames);
        Ok(shared)
    }

    fn add(&mut self, period: u64, frames: &[(String, String)]) {
        if period > 0 {
            self.samples += 1;
            self.time[Part::of(frames) as usize] += period;
        }
    }

    pub(super) fn samples(&self) -> u64 {
        self.samples
    }

    /// 0 to 1.
    pub(super) fn of_part(&self, part: Part) -> f64 {
        self.time[part as usize] as f64 / self.time.iter().sum::<u64>().max(1) as f64
    }
}

/// `7f12 jeton::http::router::Router::serve (/usr/bin/jeton)`.
fn frame(line: &str) -> Option<(String, String)> {
    let (_address, rest) = line.split_once(' ')?;
    let (function, file) = rest.rsplit_once(" (")?;
    Some((function.to_owned(), file.trim_end_matches(')').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_belongs_to_its_crate_and_jetons_own_to_its_room() {
        for (function, part) in [
            ("hyper::proto::h1::conn::Conn<I,B,T>::poll_read_head", Part::Hyper),
            (
                "<hyper::server::conn::http1::UpgradeableConnection<I,S> as core::future::future::Future>::poll",
                Part::Hyper,
            ),
            ("<jeton::http::io::Watched<S> as tokio::io::async_read::AsyncRead>::poll_read", Part::Http),
            ("jeton::store::redis::serving::Serving<S>::poll_event", Part::Redis),
            ("jeton::store::memory::MemoryStore::save_now", Part::Store),
            ("<jeton::store::memory::MemoryHandle as jeton::store::TokenStore>::find", Part::Store),
            ("ring_core_0_17_14__sha256_block_data_order_hw", Part::Ring),
            ("_int_malloc", Part::Allocator),
            ("cfree@GLIBC_2.2.5", Part::Allocator),
            ("__memmove_avx_unaligned_erms", Part::Memory),
            ("core::str::converts::from_utf8", Part::Rest),
            ("[unknown]", Part::Rest),
        ] {
            assert_eq!(of_function(function), part, "{function}");
        }
    }

    #[test]
    fn samples_are_weighed_by_their_time_and_in_the_kernel_told_by_the_call() {
        let stacks = "    5 \n\tff tcp_sendmsg ([kernel.kallsyms])\n\tfe __x64_sys_sendto ([kernel.kallsyms])\n\t7f send (libc.so)\n\n\
                      10\n\tff finish_task_switch ([kernel.kallsyms])\n\tfe __x64_sys_epoll_wait ([kernel.kallsyms])\n\n\
                      1\n\tff asm_sysvec_apic_timer_interrupt ([kernel.kallsyms])\n\t7f jeton::http::x (/x (deleted))\n\n\
                      4\n\t7f jeton::http::x (/x (deleted))\n\tff __x64_sys_sendto ([kernel.kallsyms])\n";
        let shared = Shared::of(stacks.as_bytes()).unwrap();
        assert_eq!(shared.samples(), 4);
        let shares = [Part::Send, Part::Poll, Part::Kernel, Part::Http].map(|part| shared.of_part(part));
        assert_eq!(shares, [0.25, 0.5, 0.05, 0.2]);
        assert_eq!(Part::ALL.map(|part| part as usize).to_vec(), (0..Part::ALL.len()).collect::<Vec<_>>());
    }
}
