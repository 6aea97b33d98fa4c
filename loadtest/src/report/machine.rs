//! The machine a measurement was made on, as far as the kernel tells.

use std::fs;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    /// Cores that this process may run on, before it is pinned.
    pub(crate) cores: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
}

const UNKNOWN: &str = "unknown";

impl Machine {
    pub(crate) fn here() -> Self {
        let read = |file| fs::read_to_string(file).unwrap_or_default();
        let kernel = [read("/proc/sys/kernel/ostype"), read("/proc/sys/kernel/osrelease")];
        let kernel = kernel.map(|part| part.trim().to_owned()).join(" ");
        Self {
            cpu: cpu(&read("/proc/cpuinfo")),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: memory_bytes(&read("/proc/meminfo")),
            kernel: if kernel.trim().is_empty() { UNKNOWN.to_owned() } else { kernel },
        }
    }
}

fn cpu(cpuinfo: &str) -> String {
    let named = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    // ARM's kernel gives no model's name.
    named("model name").or_else(|| named("CPU part")).unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

fn memory_bytes(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel_are_read() {
        assert_eq!(cpu("processor\t: 0\nmodel name\t: AMD EPYC\nstepping : 1\n"), "AMD EPYC");
        assert_eq!(cpu("processor\t: 0\nCPU part\t: 0xd0c\n"), "0xd0c");
        assert_eq!(memory_bytes("MemTotal:        8024 kB\nMemFree: 1 kB\n"), 8024 * 1024);
        assert_eq!((memory_bytes(""), cpu("").is_empty()), (0, false));
    }

    #[test]
    fn there_is_always_something_to_say() {
        let machine = Machine::here();
        assert!(machine.cores > 0 && !machine.cpu.is_empty() && !machine.kernel.is_empty());
    }
}
