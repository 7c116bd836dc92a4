//! The parts that one library has, so that each is looked at under its own name and none stands in for another.

use studioml_envelope_core::{
    Aead, Agree, AgreeStatic, Digest, Kdf, KeyUnwrap, KeyWrap, Provider, Random, SecretBox, Sign, Verify,
};

use crate::{AbsentPart, Role};

/// One library's parts. What it does not have is `None` here and declared in [`absent`](Self::absent), both or neither.
#[derive(Clone, Copy)]
#[allow(missing_docs, reason = "the fields are the provider's slots, documented there")]
pub struct Library {
    /// The library's name, for the report.
    pub name: &'static str,
    pub random: Option<&'static dyn Random>,
    pub digest: Option<&'static dyn Digest>,
    pub key_wrap: Option<&'static dyn KeyWrap>,
    pub key_unwrap: Option<&'static dyn KeyUnwrap>,
    pub secret_box: Option<&'static dyn SecretBox>,
    pub sign: Option<&'static dyn Sign>,
    pub verify: Option<&'static dyn Verify>,
    pub agree: Option<&'static dyn Agree>,
    pub agree_static: Option<&'static dyn AgreeStatic>,
    pub aead: Option<&'static dyn Aead>,
    pub kdf: Option<&'static dyn Kdf>,
    /// The parts it does not have, and why.
    pub absent: &'static [AbsentPart],
}

impl Library {
    /// A library without any part, to be filled by struct update syntax.
    pub const EMPTY: Self = Self {
        name: "",
        random: None,
        digest: None,
        key_wrap: None,
        key_unwrap: None,
        secret_box: None,
        sign: None,
        verify: None,
        agree: None,
        agree_static: None,
        aead: None,
        kdf: None,
        absent: &[],
    };

    /// The roles that have no part here.
    #[must_use]
    pub fn missing(&self) -> Vec<Role> {
        let there = [
            self.random.is_some(),
            self.digest.is_some(),
            self.key_wrap.is_some(),
            self.key_unwrap.is_some(),
            self.secret_box.is_some(),
            self.sign.is_some(),
            self.verify.is_some(),
            self.agree.is_some(),
            self.agree_static.is_some(),
            self.aead.is_some(),
            self.kdf.is_some(),
        ];
        Role::PARTS.into_iter().zip(there).filter(|(_, there)| !there).map(|(role, _)| role).collect()
    }
}

impl From<&Provider> for Library {
    fn from(provider: &Provider) -> Self {
        Self {
            name: provider.name,
            random: Some(provider.random),
            digest: Some(provider.digest),
            key_wrap: Some(provider.key_wrap),
            key_unwrap: Some(provider.key_unwrap),
            secret_box: Some(provider.secret_box),
            sign: Some(provider.sign),
            verify: Some(provider.verify),
            agree: Some(provider.agree),
            agree_static: Some(provider.agree_static),
            aead: Some(provider.aead),
            kdf: Some(provider.kdf),
            absent: &[],
        }
    }
}

impl core::fmt::Debug for Library {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Library({}, without {:?})", self.name, self.missing())
    }
}
