//! How much work a key file may ask for. The attacker is whoever can put a key file before a server: a scrypt parameter or an
//! iteration count is a number in the file, and costs its reader what it says.
//!
//! Times are those of one core of a 4-vCPU Zen 4 machine, release build; `cargo bench -p studioml-envelope-benches --bench
//! key_files` measures them again.

/// The largest key file in bytes. The longest key, RSA-8192 in OpenSSH format, takes 7 KiB; a file of signing keys may hold
/// several thousand.
pub const MAX_KEY_FILE: usize = 1024 * 1024;

/// The most rounds of `bcrypt_pbkdf` in an OpenSSH file: 2 s. `ssh-keygen` writes 16, later versions 24 (0.19 s), and `-a 100`
/// is the usual hardening.
pub const MAX_BCRYPT_ROUNDS: u32 = 256;

/// The most iterations of PBKDF2: 0.33 s with SHA-256, 1.9 s with SHA-512. OpenSSL writes 2,048; 600,000 is what OWASP asks
/// for with SHA-256.
pub const MAX_PBKDF2_ITERATIONS: u64 = 2_000_000;

/// The most iterations of PKCS #12's key derivation: 0.5 s. OpenSSL writes 2,048.
pub const MAX_PKCS12_ITERATIONS: u64 = 2_000_000;

/// The most memory for scrypt in bytes: 128 · r · (N + p). OpenSSL writes N = 16,384, r = 8, which is 16 MiB.
pub const MAX_SCRYPT_MEMORY: u64 = 256 * 1024 * 1024;

/// The most work for scrypt, N · r · p: 1 s. OpenSSL writes 131,072, this crate 655,360.
pub const MAX_SCRYPT_WORK: u64 = 4 * 1024 * 1024;
