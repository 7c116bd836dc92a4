//! Strict reading of JSON objects: members with the text of their values, duplicates refused at every level.
//!
//! The attacker writes JSON that two parsers read differently: a duplicate member, of which Go and Python take the last and
//! others the first, or nesting that makes a parser recurse until its stack ends.

use core::{
    cell::{Cell, RefCell},
    fmt,
};
use std::collections::HashSet;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::MessageError;

/// Deepest nesting accepted, counted over the whole text.
const MAX_DEPTH: usize = 100;

/// The most members of objects: of the two outer ones together, and within the value of one of their members. A member takes
/// six characters, and to remember its name takes thirty times that.
const MAX_MEMBERS: usize = 1 << 16;

/// What a walk over a text found out, and how many members it has met.
#[derive(Default)]
struct Walk {
    failure: RefCell<Option<MessageError>>,
    members: Cell<usize>,
}

impl Walk {
    fn fail<E: serde::de::Error>(&self, error: MessageError) -> E {
        self.failure.replace(Some(error));
        E::custom("refused")
    }

    fn count_member<E: serde::de::Error>(&self) -> Result<(), E> {
        let members = self.members.get().saturating_add(1);
        self.members.set(members);
        if members > MAX_MEMBERS { Err(self.fail(MessageError::TooManyMembers)) } else { Ok(()) }
    }
}

/// A member of an object: its name, unescaped, and its value as it stands.
pub(crate) struct Member<'t> {
    pub(crate) name: String,
    pub(crate) value: &'t RawValue,
}

/// Reads the members of one object in order. Values are checked to be JSON, but not looked into.
pub(crate) fn object_members(text: &str) -> Result<Vec<Member<'_>>, MessageError> {
    read_members(text, None).map(|(members, _)| members)
}

/// Reads the members of an object and those of the object that is its member `inner`, in one pass over the text.
///
/// The outer list leaves `inner` out. The second list is `None` where there is no such member.
pub(crate) fn object_members_within<'t>(
    text: &'t str,
    inner: &'static str,
) -> Result<(Vec<Member<'t>>, Option<Vec<Member<'t>>>), MessageError> {
    read_members(text, Some(inner))
}

type MembersWithin<'t> = (Vec<Member<'t>>, Option<Vec<Member<'t>>>);

fn read_members<'t>(text: &'t str, inner: Option<&'static str>) -> Result<MembersWithin<'t>, MessageError> {
    let walk = Walk::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let members = Members { inner, what: "the top level", walk: &walk }.deserialize(&mut deserializer);
    let members = members.and_then(|members| deserializer.end().map(|()| members));
    members.map_err(|error| walk.failure.take().unwrap_or_else(|| not_json(&error)))
}

/// An object whose members are collected.
#[derive(Clone, Copy)]
struct Members<'w> {
    /// The member to go into.
    inner: Option<&'static str>,
    /// What the object is called in an error.
    what: &'static str,
    walk: &'w Walk,
}

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = MembersWithin<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = MembersWithin<'de>;

    /// Called when the value is something else than an object.
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.walk.failure.replace(Some(MessageError::NotAnObject { what: self.what }));
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut members, mut within) = (Vec::new(), None);
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            self.walk.count_member()?;
            if !names.insert(name.clone()) {
                return Err(self.walk.fail(MessageError::DuplicateMember { name: shortened(&name) }));
            }
            if Some(name.as_str()) == self.inner {
                let seed = Members { inner: None, what: "\"message\"", walk: self.walk };
                within = Some(map.next_value_seed(seed)?.0);
            } else {
                members.push(Member { name, value: map.next_value()? });
            }
        }
        Ok((members, within))
    }
}

/// Checks that no object within a member's value has a member twice, that nothing is nested too deep, and that every number
/// and every string is one.
///
/// `depth` is how deep the value itself stands.
pub(crate) fn check_members_unique(member: &Member<'_>, depth: usize) -> Result<(), MessageError> {
    let walk = Walk::default();
    let mut deserializer = serde_json::Deserializer::from_str(member.value.get());
    // that the value is JSON has been seen; what is left to go wrong is a number that overflows or half a surrogate pair
    let unreadable = |error: serde_json::Error| {
        let member = shortened(&member.name);
        if error.to_string().starts_with("number out of range") {
            MessageError::NumberTooLarge { member }
        } else {
            MessageError::LoneSurrogate { member }
        }
    };
    Unique { walk: &walk, depth }
        .deserialize(&mut deserializer)
        .map_err(|error| walk.failure.take().unwrap_or_else(|| unreadable(error)))
}

/// A JSON value that is only walked through.
#[derive(Clone, Copy)]
struct Unique<'w> {
    walk: &'w Walk,
    depth: usize,
}

impl Unique<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(self.walk.fail(MessageError::TooDeep));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            self.walk.count_member()?;
            if names.contains(&name) {
                return Err(self.walk.fail(MessageError::DuplicateMember { name: shortened(&name) }));
            }
            names.insert(name);
            map.next_value_seed(inner)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while seq.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// The member `name` of the object in `text`, as it stands; `None` where it is missing or `null`, or `text` is no object.
///
/// The text has been checked before; where a name stands twice (a Request inside an envelope is taken as it is) the last
/// counts, as it does for deployed runners.
pub(crate) fn member<'t>(text: &'t str, name: &str) -> Option<&'t RawValue> {
    let [found] = members(text, [name]);
    found
}

/// Like [`member`] for several names, in one pass over the text.
pub(crate) fn members<'t, const N: usize>(text: &'t str, names: [&str; N]) -> [Option<&'t RawValue>; N] {
    struct Find<'n, const N: usize>([&'n str; N]);

    impl<'de, const N: usize> Visitor<'de> for Find<'_, N> {
        type Value = [Option<&'de RawValue>; N];

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = [None; N];
            while let Some(name) = map.next_key::<String>()? {
                match self.0.iter().zip(&mut found).find(|(wanted, _)| **wanted == name) {
                    Some((_, found)) => *found = Some(map.next_value()?),
                    None => map.next_value::<IgnoredAny>().map(|_| ())?,
                }
            }
            Ok(found)
        }
    }

    let found = serde_json::Deserializer::from_str(text).deserialize_map(Find(names));
    found.unwrap_or([None; N]).map(|value| value.filter(|value| value.get() != "null"))
}

/// A value as a string, if it is one.
pub(crate) fn as_string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// A name at no more than 64 characters, for an error.
pub(crate) fn shortened(name: &str) -> String {
    name.chars().take(64).collect()
}

fn not_json(error: &serde_json::Error) -> MessageError {
    let (line, column) = position(error);
    MessageError::NotJson { line, column }
}

/// Where an error is, counting from 1: `serde_json` says column 0 where a text or a line ends before its first character.
pub(crate) fn position(error: &serde_json::Error) -> (usize, usize) {
    (error.line().max(1), error.column().max(1))
}
