//! Errors: exact about everything public, one opaque value for everything that depends on a secret.
//!
//! None of them carries more of the input than a name of at most 64 characters, and none carries text of a library's own.

use thiserror::Error;

/// A key cannot be used, and why. Keys arrive as files or as public data; nothing here shows a secret byte.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The RSA modulus is not 2048 to 8192 bits in whole bytes (docs/spec.md §1).
    #[error("RSA modulus of {bits} bits: 2048 to 8192 bits, a multiple of 8, are supported")]
    ModulusSize {
        /// Its size in bits.
        bits: usize,
    },
    /// The RSA modulus is even.
    #[error("RSA modulus is even")]
    ModulusEven,
    /// The RSA public exponent is not odd and in 3 ..= 2^33 − 1. A huge exponent is a denial of service.
    #[error("RSA public exponent must be odd and between 3 and 2^33 - 1")]
    PublicExponent,
    /// An RSA key with more than two primes (RFC 8017 §3.2 `multi`).
    #[error("multi-prime RSA keys are not supported")]
    MultiPrime,
    /// The parts of a private key do not belong together, or its public part is another key's.
    #[error("the parts of the private key do not belong together")]
    Inconsistent,
    /// Not the ASN.1 structure that it should be.
    #[error("damaged {structure}")]
    Encoding {
        /// Which structure, for example `SubjectPublicKeyInfo`.
        structure: &'static str,
    },
    /// A key of another kind than the place wants.
    #[error("a key of kind {found} where {expected} is needed")]
    Kind {
        /// What is needed.
        expected: &'static str,
        /// What was given.
        found: &'static str,
    },
    /// A key algorithm that this program does not use.
    #[error("unsupported key algorithm {algorithm}")]
    UnsupportedAlgorithm {
        /// Its name where known, else its object identifier.
        algorithm: String,
    },
    /// An elliptic curve other than P-256.
    #[error("unsupported elliptic curve {curve}: only P-256 (prime256v1) is supported")]
    UnsupportedCurve {
        /// Its name where known, else its object identifier.
        curve: String,
    },
    /// The curve is given by explicit parameters, which invite forged generators (CVE-2020-0601).
    #[error("explicit elliptic curve parameters are refused; write the key with a named curve")]
    ExplicitCurveParameters,
    /// An Ed25519 public key of small order: it would accept signatures that nobody made.
    #[error("Ed25519 public key of small order")]
    SmallOrder,
    /// An Ed25519 public key whose y-coordinate is not below 2^255 − 19.
    #[error("Ed25519 public key is not in canonical encoding")]
    NonCanonical,
    /// A P-256 point that is not 65 bytes beginning with 04.
    #[error("P-256 public key must be an uncompressed point: 65 bytes beginning with 04")]
    PointEncoding,
    /// A P-256 point that is not on the curve.
    #[error("P-256 public key is not a point of the curve")]
    PointNotOnCurve,
    /// A P-256 private scalar that is zero or not below the group order.
    #[error("P-256 private key is out of range")]
    ScalarOutOfRange,
    /// A key of the wrong length.
    #[error("{kind} key of {found} bytes: {expected} are needed")]
    Length {
        /// Which kind of key.
        kind: &'static str,
        /// Bytes needed.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// An RSA key of a size that is read but not made.
    #[error("RSA keys of 2048, 3072, 4096 and 8192 bits are made, none of {bits}")]
    GenerationSize {
        /// The size that was asked for.
        bits: usize,
    },
    /// The library could not make a key.
    #[error("key generation failed")]
    Generation,
}

impl KeyError {
    /// A key algorithm that is not used in this place, by its object identifier in dotted form: named where its name is known.
    #[must_use]
    pub fn unsupported_algorithm(identifier: &str) -> Self {
        let name = match identifier {
            "1.2.840.10040.4.1" => "DSA",
            "1.2.840.10045.2.1" => "elliptic curve",
            "1.2.840.113549.1.1.1" => "RSA",
            "1.2.840.113549.1.1.7" => "RSAES-OAEP",
            "1.2.840.113549.1.1.10" => "RSASSA-PSS",
            "1.2.840.113549.1.3.1" => "Diffie-Hellman",
            "1.3.101.110" => "X25519",
            "1.3.101.111" => "X448",
            "1.3.101.112" => "Ed25519",
            "1.3.101.113" => "Ed448",
            other => other,
        };
        Self::UnsupportedAlgorithm { algorithm: name.to_owned() }
    }
}

/// A payload string is not one (docs/spec.md §1). Everything here is visible to anybody who has the message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The payload announces a version that is not this one.
    #[error("payload: unsupported version")]
    UnsupportedVersion,
    /// Not exactly two comma-separated fields.
    #[error("payload: {} comma-separated field{}, there must be 2", if *.fields > 2 { "more than 2".to_owned() } else { .fields.to_string() }, if *.fields == 1 { "" } else { "s" })]
    Fields {
        /// 1 without a comma; 3 stands for "3 or more", the rest is not counted.
        fields: usize,
    },
    /// A field is not canonical padded base64.
    #[error("payload: {field} is not canonical base64 (near byte {offset} of the field)")]
    Base64 {
        /// `wrapped key` or `box`.
        field: &'static str,
        /// Where in the field, in bytes.
        offset: usize,
    },
    /// The wrapped key decodes to fewer than 256 or more than 1024 bytes.
    #[error("payload: wrapped key of {found} bytes, there must be 256 to 1024")]
    WrappedKeyLength {
        /// Bytes it decodes to.
        found: usize,
    },
    /// The box is too short for a nonce and a tag.
    #[error("payload: box of {found} bytes, there must be at least 40 (24 nonce, 16 tag)")]
    BoxLength {
        /// Bytes it decodes to.
        found: usize,
    },
    /// The plaintext would be larger than the configured maximum.
    #[error("payload: plaintext of {found} bytes is larger than the maximum of {maximum}")]
    TooLarge {
        /// Bytes of plaintext; at the least, where the payload has escapes and was not read further.
        found: usize,
        /// The maximum in force.
        maximum: usize,
    },
}

/// Sealing failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// The plaintext is larger than the configured maximum.
    #[error("plaintext of {found} bytes is larger than the maximum of {maximum}")]
    TooLarge {
        /// Bytes of plaintext.
        found: usize,
        /// The maximum in force.
        maximum: usize,
    },
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The session key could not be wrapped.
    #[error(transparent)]
    Wrap(#[from] WrapError),
    /// The SecretBox part gave another number of bytes than it was given.
    #[error("the output does not have the length of the payload")]
    OutputLength,
}

/// Opening failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The payload is malformed: public, and said precisely.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// No private key of this modulus length is held. Lengths are public.
    #[error("payload: wrapped key of {found} bytes fits none of the private keys held")]
    NoKeyOfLength {
        /// Bytes of the wrapped key.
        found: usize,
    },
    /// Everything that depends on the private key or the session key: always this, with this text (docs/spec.md §7).
    #[error("cannot open")]
    CannotOpen,
    /// No random bytes for the substitute key.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// A message envelope is not one (docs/spec.md §2).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Not JSON (RFC 8259): the position counts from 1.
    #[error("message: not JSON at line {line}, column {column}")]
    NotJson {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// The JSON is not an object, or `message` is not.
    #[error("message: {what} must be a JSON object")]
    NotAnObject {
        /// `the top level` or `"message"`.
        what: &'static str,
    },
    /// A member name stands twice in one object: parsers disagree about which counts.
    #[error("message: duplicate member {name:?}")]
    DuplicateMember {
        /// The name, cut to 64 characters.
        name: String,
    },
    /// A member name that deployed parsers, which fold case, would read as another.
    #[error("message: member {name:?} is a case variant of {means:?}")]
    CaseVariant {
        /// The name as it stands, cut to 64 characters.
        name: String,
        /// What it would be read as.
        means: &'static str,
    },
    /// Nested deeper than 100 levels.
    #[error("message: nested deeper than 100 levels")]
    TooDeep,
    /// A number that no 64-bit float holds, 1e400 for example: parsers disagree about what it is (RFC 8259 §6).
    #[error("message: a number in member {member:?} is too large")]
    NumberTooLarge {
        /// The member of the top level or of `message` in which it stands, cut to 64 characters.
        member: String,
    },
    /// A string with half of a surrogate pair, `"\ud800"` for example: no text, and parsers disagree about what it becomes
    /// (RFC 8259 §8.2).
    #[error("message: a string in member {member:?} has half of a surrogate pair")]
    LoneSurrogate {
        /// The member of the top level or of `message` in which it stands, cut to 64 characters.
        member: String,
    },
    /// More members than 65,536. Each takes more memory than it takes characters.
    #[error("message: more than 65,536 members")]
    TooManyMembers,
    /// `message` has no member `payload`.
    #[error("message: member \"payload\" is missing")]
    PayloadMissing,
    /// A member that must be a string is not one.
    #[error("message: member {member:?} must be a string")]
    NotAString {
        /// `payload`, `signature` or `fingerprint`.
        member: &'static str,
    },
    /// There is no member `message`: a clear-text Request, or something else altogether.
    #[error("message: member \"message\" is missing: not an envelope")]
    NotAnEnvelope,
    /// The payload string in it is malformed.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

/// A signature is not one, before any key is asked (docs/spec.md §3).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Not canonical padded base64.
    #[error("signature: not canonical base64")]
    Base64,
    /// Not a length that a signature of this algorithm has.
    #[error("signature: {found} bytes are no {algorithm} signature")]
    Length {
        /// The key's algorithm.
        algorithm: &'static str,
        /// Bytes given.
        found: usize,
    },
    /// The SSH wire form is damaged or names another algorithm.
    #[error("signature: damaged SSH form, or of another algorithm than {algorithm}")]
    SshForm {
        /// The key's algorithm.
        algorithm: &'static str,
    },
    /// Not strict DER of an ECDSA-Sig-Value.
    #[error("signature: not a strict DER ECDSA-Sig-Value")]
    Der,
    /// A scalar is out of range: Ed25519 `S` not below L, ECDSA `r` or `s` zero or not below n.
    #[error("signature: scalar out of range")]
    Scalar,
    /// The Ed25519 `R` is of small order or not canonical.
    #[error("signature: R is of small order or not canonical")]
    SmallOrderR,
}

/// Verification failed or policy refuses (docs/spec.md §2 to §4).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The message carries no signature.
    #[error("the message is not signed")]
    Unsigned,
    /// No signing key is held for this.
    #[error("no signing key is held for it")]
    NoKey,
    /// The signature is malformed for every key held.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The signature verifies under none of the keys held.
    #[error("the signature does not verify")]
    BadSignature,
    /// The signature is good and the fingerprint names another key: a false claim of identity.
    #[error("the fingerprint is not that of the key that signed")]
    FingerprintMismatch,
    /// The signature is good and there is no fingerprint, which counts as a mismatch.
    #[error("the fingerprint is missing")]
    FingerprintMissing,
}

/// A fingerprint is in none of the four forms (docs/spec.md §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a fingerprint: SHA256:<43 characters>, SHA1:<27 characters>, or base64 of a SHA-256 or SHA-1 digest")]
pub struct FingerprintError;

/// A clear-text Request is refused (docs/spec.md §2).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClearTextError {
    /// The configuration does not allow clear-text messages.
    #[error("clear-text messages are not allowed (CLEAR_TEXT_MESSAGES is not \"true\")")]
    NotAllowed,
    /// A signing key is assigned to the queue, so messages on it must be signed.
    #[error("the queue has a signing key: messages on it must be signed")]
    QueueHasKey,
    /// It is no Request.
    #[error(transparent)]
    Request(#[from] RequestError),
}

/// What was opened is no Request: not a JSON object with `experiment` and `config`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Not JSON.
    #[error("request: not JSON at line {line}, column {column}")]
    NotJson {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// Not a JSON object.
    #[error("request: not a JSON object")]
    NotAnObject,
    /// It has a member `message`, in whichever spelling deployed parsers take for it: an envelope is never clear text.
    #[error("request: it has a member \"message\": an envelope, not a clear-text request")]
    Envelope,
    /// A member name stands twice in one object of a clear-text Request: parsers disagree about which counts.
    #[error("request: duplicate member {name:?}")]
    DuplicateMember {
        /// The name, cut to 64 characters.
        name: String,
    },
    /// A clear-text Request is nested deeper than 100 levels, or holds a number that no 64-bit float holds, or half of a
    /// surrogate pair.
    #[error(
        "request: member {member:?} is nested too deep, or holds a number that is too large or half of a surrogate pair"
    )]
    Limits {
        /// The member of the top level, cut to 64 characters.
        member: String,
    },
    /// A member that every Request has is missing.
    #[error("request: member {member:?} is missing")]
    Missing {
        /// `experiment` or `config`.
        member: &'static str,
    },
}

/// The random source failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the random source failed")]
pub struct RandomError;

/// The session key could not be wrapped: the random source or the library failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the session key could not be wrapped")]
pub struct WrapError;

/// A tag is not right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not authentic")]
pub struct Unauthentic;

/// A signature is not right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// The peer's point is not on the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the peer's public key is not a point of the curve")]
pub struct AgreeError;

/// More than 8160 bytes were asked of HKDF-SHA256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("HKDF-SHA256 gives at most 8160 bytes")]
pub struct KdfOutputTooLong;
