//! Everything at once: all suites that apply to one library, or to one provider.

use studioml_envelope_core::Provider;

use crate::{
    Cases, Library, Report, Role, SuiteReport, Vectors, bad_messages, expect_eq, order_of_work, peers,
    suites::{agreement, rsa_oaep, secret_box, signature, symmetric},
};

/// Runs every suite for parts over what `library` has. `others` gives the opposite part where one is needed.
///
/// What the library does not have must be declared in [`Library::absent`], and what it has must not: a mismatch is a failed
/// case of its own.
#[must_use]
pub fn library(vectors: &Vectors, library: &Library, others: &Provider) -> Report {
    let random = others.random;
    let mut suites = vec![declared_absences(library)];
    if let Some(part) = library.random {
        suites.push(symmetric::random_fills(part));
    }
    if let Some(part) = library.digest {
        suites.push(symmetric::digest_fips180(vectors, part));
        suites.push(symmetric::digest_fingerprints(vectors, part));
    }
    if let Some(part) = library.key_wrap {
        suites.push(rsa_oaep::wrap_opens_elsewhere(vectors, part, random, others.key_unwrap));
    }
    if let Some(part) = library.key_unwrap {
        suites.extend([2048, 3072, 4096].map(|bits| rsa_oaep::unwrap_wycheproof(part, random, bits)));
        suites.push(rsa_oaep::unwrap_wycheproof_misc(part, random, others.key_wrap));
        suites.push(rsa_oaep::unwrap_refuses(vectors, part, random));
        suites.push(rsa_oaep::unwrap_unusual_keys(vectors, part, random, others.key_wrap));
        suites.push(rsa_oaep::unwrap_generates(part, random, others.key_wrap));
    }
    if let Some(part) = library.secret_box {
        suites.push(secret_box::nacl(vectors, part));
        suites.push(secret_box::libsodium(vectors, part, others.digest));
        suites.push(secret_box::forgeries(part));
    }
    if let Some(part) = library.sign {
        suites.push(signature::sign_ed25519(vectors, part, random));
        suites.push(signature::sign_verifies_elsewhere(vectors, part, random, others.verify));
        suites.push(signature::sign_keys(part));
    }
    if let Some(part) = library.verify {
        suites.push(signature::verify_wycheproof_ed25519(part));
        suites.push(signature::verify_wycheproof_ecdsa(part));
        suites.push(signature::verify_wycheproof_ecdsa_p1363(part));
        suites.push(signature::verify_cctv_ed25519(vectors, part));
        suites.push(signature::verify_keys(part));
    }
    if let Some(part) = library.agree {
        suites.push(agreement::ephemeral_wycheproof_points(part, random));
        suites.push(agreement::ephemeral_agrees_elsewhere(part, random, others.agree_static));
    }
    if let Some(part) = library.agree_static {
        suites.push(agreement::static_wycheproof_spki(part));
        suites.push(agreement::static_wycheproof_points(part));
        suites.push(agreement::static_wycheproof_pem(vectors, part));
        suites.push(agreement::static_seed_exchange(vectors, part));
        suites.push(agreement::static_keys(vectors, part, random));
    }
    if let Some(part) = library.aead {
        suites.push(symmetric::aead_wycheproof(part));
        suites.push(symmetric::aead_seed_record(vectors, part));
        suites.push(symmetric::aead_forgeries(part));
    }
    if let Some(part) = library.kdf {
        suites.push(symmetric::kdf_wycheproof(part));
        suites.push(symmetric::kdf_seed_key(vectors, part));
    }
    for suite in &mut suites {
        library.name.clone_into(&mut suite.subject);
    }
    let absent = library.absent.iter().map(|part| (library.name.to_owned(), *part)).collect();
    Report { suites, absent }
}

/// That the parts which are missing are those which are declared missing, one for one.
fn declared_absences(library: &Library) -> SuiteReport {
    let mut cases = Cases::new("declared absences", Role::Provider, library.name, &[]);
    let missing = library.missing();
    for role in Role::PARTS {
        let declared = library.absent.iter().filter(|part| part.role == role).count();
        let expected = usize::from(missing.contains(&role));
        cases.check("declared absences", role.name(), expect_eq("declarations", &declared, &expected));
    }
    cases.finish()
}

/// Runs every suite for whole providers over `provider`: messages, forgeries, order of work.
#[must_use]
pub fn provider(vectors: &Vectors, provider: &Provider) -> Report {
    let suites = vec![peers(vectors, provider), bad_messages(vectors, provider), order_of_work(vectors, provider)];
    Report { suites, absent: Vec::new() }
}
