//! Random bytes, brought in from outside so that a test can replay a failure from its seed.
//!
//! Invariant: outside simulations every byte comes from the operating system at the moment of use and none is kept, because
//! a restored snapshot of a machine would hand kept ones out twice.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};

/// A source of random bytes. Cheap to clone; clones of a seeded source draw from the same stream.
#[derive(Clone)]
pub enum Random {
    /// The operating system's generator.
    System(SystemRandom),
    /// A replayable stream for simulations. Never for a service.
    Seeded(Arc<Mutex<(u64, u64)>>),
}

/// The operating system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomUnavailable;

impl Random {
    /// The operating system's generator.
    pub fn system() -> Self {
        Self::System(SystemRandom::new())
    }

    /// A stream that `seed` fixes.
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(Mutex::new((seed, 0))))
    }

    /// Fills `bytes`.
    ///
    /// # Errors
    /// [`RandomUnavailable`] where the operating system has none; nothing of `bytes` may then be used.
    pub fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomUnavailable> {
        match self {
            Self::System(system) => system.fill(bytes).map_err(|_| RandomUnavailable),
            Self::Seeded(state) => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                for chunk in bytes.chunks_mut(32) {
                    state.1 += 1;
                    let mut block = [0; 16];
                    block[..8].copy_from_slice(&state.0.to_be_bytes());
                    block[8..].copy_from_slice(&state.1.to_be_bytes());
                    chunk.copy_from_slice(&digest::digest(&digest::SHA256, &block).as_ref()[..chunk.len()]);
                }
                Ok(())
            }
        }
    }

    /// An array of random bytes.
    ///
    /// # Errors
    /// As [`Random::fill`].
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], RandomUnavailable> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System(_) => "Random::System",
            Self::Seeded(_) => "Random::Seeded",
        })
    }
}

impl fmt::Display for RandomUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operating system gave no random bytes")
    }
}

impl std::error::Error for RandomUnavailable {}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn a_seed_fixes_the_stream_and_the_system_repeats_nothing() {
        let (a, b) = (Random::seeded(7), Random::seeded(7));
        let first: [u8; 80] = a.bytes().unwrap();
        assert_eq!(first, b.bytes().unwrap());
        assert_ne!(first, a.bytes().unwrap());
        let system = Random::system();
        assert_ne!(system.bytes::<32>().unwrap(), system.bytes::<32>().unwrap());
    }
}
