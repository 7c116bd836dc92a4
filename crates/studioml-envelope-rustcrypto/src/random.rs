//! The operating system's random source, and the two adapters through which RustCrypto crates draw from a [`Random`] part.
//!
//! Leans on `getrandom`. The attacker is whoever makes a source fail at the right moment: a failure must come back as an
//! error, never as a panic, a loop without end or a key made of nothing.

use chacha20::ChaCha20Rng;
use rand_core::{SeedableRng, TryCryptoRng, TryRng};
use studioml_envelope_core::{Implementation, Part, Random, RandomError};
use zeroize::Zeroizing;

/// Random bytes of the operating system.
pub static RANDOM: OsRandom = OsRandom;

/// The type of [`RANDOM`].
#[derive(Clone, Copy, Debug)]
pub struct OsRandom;

impl Part for OsRandom {
    fn implementation(&self) -> Implementation {
        Implementation { library: "getrandom", version: "0.4.3", path: "" }
    }
}

impl Random for OsRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), RandomError> {
        getrandom::fill(out).map_err(|_| RandomError)
    }
}

/// A [`Random`] as a fallible generator of `rand_core`: every byte asked for is a byte of the source.
///
/// For callees that draw a fixed amount and report a failure. Those that draw until a number fits get [`seeded`].
pub(crate) struct Source<'a>(pub(crate) &'a dyn Random);

impl TryRng for Source<'_> {
    type Error = RandomError;

    fn try_next_u32(&mut self) -> Result<u32, RandomError> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, RandomError> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), RandomError> {
        self.0.fill(out)
    }
}

impl TryCryptoRng for Source<'_> {}

/// A generator that cannot fail: ChaCha20 over one 32-byte seed from `random`, wiped on drop.
///
/// For callees that take nothing else (`rsa`'s key generation) or draw again and again until a number fits (its blinding):
/// they cannot be told of a failure half way, and a source that is stuck would keep them for ever.
pub(crate) fn seeded(random: &dyn Random) -> Result<ChaCha20Rng, RandomError> {
    let mut seed = Zeroizing::new([0; 32]);
    random.fill(seed.as_mut())?;
    Ok(ChaCha20Rng::from_seed(*seed))
}

#[cfg(test)]
pub(crate) mod sources {
    //! Random sources for tests: one that fails, one that is stuck.

    use super::{Implementation, Part, Random, RandomError};

    const TEST: Implementation = Implementation { library: "test", version: "0", path: "" };

    /// Fails always.
    pub(crate) struct Failing;

    impl Part for Failing {
        fn implementation(&self) -> Implementation {
            TEST
        }
    }

    impl Random for Failing {
        fn fill(&self, _: &mut [u8]) -> Result<(), RandomError> {
            Err(RandomError)
        }
    }

    /// Gives the same byte for ever.
    pub(crate) struct Stuck(pub(crate) u8);

    impl Part for Stuck {
        fn implementation(&self) -> Implementation {
            TEST
        }
    }

    impl Random for Stuck {
        fn fill(&self, out: &mut [u8]) -> Result<(), RandomError> {
            out.fill(self.0);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        RANDOM, Source, seeded,
        sources::{Failing, Stuck},
    };
    use rand_core::{Rng as _, TryRng as _};
    use studioml_envelope_core::{Random as _, RandomError};

    #[test]
    fn system_source_fills_all_of_any_length_and_does_not_repeat() {
        RANDOM.fill(&mut []).unwrap();
        let (mut one, mut other) = ([0; 64], [0; 64]);
        RANDOM.fill(&mut one).unwrap();
        RANDOM.fill(&mut other).unwrap();
        assert_ne!(one, other);
        assert!(one.chunks(16).all(|part| part != [0; 16]));
    }

    #[test]
    fn failure_of_the_source_is_an_error_in_every_method() {
        let mut source = Source(&Failing);
        assert_eq!(source.try_next_u32(), Err(RandomError));
        assert_eq!(source.try_next_u64(), Err(RandomError));
        assert_eq!(source.try_fill_bytes(&mut [0; 8]), Err(RandomError));
        assert!(seeded(&Failing).is_err());
    }

    #[test]
    fn pass_through_hands_over_the_bytes_of_the_source() {
        let mut out = [0; 5];
        Source(&Stuck(7)).try_fill_bytes(&mut out).unwrap();
        assert_eq!(out, [7; 5]);
    }

    #[test]
    fn seeded_generator_moves_on_where_its_source_is_stuck() {
        let mut generator = seeded(&Stuck(0xff)).unwrap();
        assert_ne!(generator.next_u64(), generator.next_u64());
    }
}
