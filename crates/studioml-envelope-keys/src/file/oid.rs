//! Object identifiers of the structures that key files have, with the documents that give them.

use der::asn1::ObjectIdentifier;

const fn oid(arcs: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(arcs)
}

/// `rsaEncryption` (RFC 8017 appendix A.1).
pub(crate) const RSA_ENCRYPTION: ObjectIdentifier = oid("1.2.840.113549.1.1.1");
/// `id-Ed25519` (RFC 8410 §3).
pub(crate) const ED25519: ObjectIdentifier = oid("1.3.101.112");
/// `id-ecPublicKey` (RFC 5480 §2.1.1).
pub(crate) const EC_PUBLIC_KEY: ObjectIdentifier = oid("1.2.840.10045.2.1");
/// `secp256r1` = `prime256v1` (RFC 5480 §2.1.1.1).
pub(crate) const PRIME256V1: ObjectIdentifier = oid("1.2.840.10045.3.1.7");

/// `id-PBES2` (RFC 8018 appendix A.4).
pub(crate) const PBES2: ObjectIdentifier = oid("1.2.840.113549.1.5.13");
/// `id-PBKDF2` (RFC 8018 appendix A.2).
pub(crate) const PBKDF2: ObjectIdentifier = oid("1.2.840.113549.1.5.12");
/// `id-scrypt` (RFC 7914 §7).
pub(crate) const SCRYPT: ObjectIdentifier = oid("1.3.6.1.4.1.11591.4.11");
/// `pbeWithSHAAnd3-KeyTripleDES-CBC` (RFC 7292 appendix C).
pub(super) const PKCS12_SHA1_DES_EDE3: ObjectIdentifier = oid("1.2.840.113549.1.12.1.3");

/// `id-hmacWithSHA1` (RFC 8018 appendix B.1.1).
pub(super) const HMAC_SHA1: ObjectIdentifier = oid("1.2.840.113549.2.7");
/// `id-hmacWithSHA224` (RFC 8018 appendix B.1.2).
pub(super) const HMAC_SHA224: ObjectIdentifier = oid("1.2.840.113549.2.8");
/// `id-hmacWithSHA256` (RFC 8018 appendix B.1.2).
pub(crate) const HMAC_SHA256: ObjectIdentifier = oid("1.2.840.113549.2.9");
/// `id-hmacWithSHA384` (RFC 8018 appendix B.1.2).
pub(super) const HMAC_SHA384: ObjectIdentifier = oid("1.2.840.113549.2.10");
/// `id-hmacWithSHA512` (RFC 8018 appendix B.1.2).
pub(super) const HMAC_SHA512: ObjectIdentifier = oid("1.2.840.113549.2.11");

/// `aes128-CBC-PAD` (RFC 8018 appendix B.2.5).
pub(super) const AES_128_CBC: ObjectIdentifier = oid("2.16.840.1.101.3.4.1.2");
/// `aes192-CBC-PAD` (RFC 8018 appendix B.2.5).
pub(super) const AES_192_CBC: ObjectIdentifier = oid("2.16.840.1.101.3.4.1.22");
/// `aes256-CBC-PAD` (RFC 8018 appendix B.2.5).
pub(crate) const AES_256_CBC: ObjectIdentifier = oid("2.16.840.1.101.3.4.1.42");
/// `des-EDE3-CBC` (RFC 8018 appendix B.2.2).
pub(super) const DES_EDE3_CBC: ObjectIdentifier = oid("1.2.840.113549.3.7");
