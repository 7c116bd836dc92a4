//! Longest-prefix lookup over many prefixes.
//!
//! The prefixes are sorted, and each knows the longest other prefix of itself. One binary search finds the last prefix that
//! is not after the name; if it is not one of the name's, the way up leads to the longest that is: whatever stands between a
//! prefix of the name and the name begins with that prefix too.
//!
//! The search compares the first 32 bytes as four integers, which stand side by side, and the names themselves only where
//! those are the same: names that lie anywhere in memory would have it wait for memory at every step.

/// A table from prefixes to values.
pub(super) struct PrefixTable<V> {
    /// For each prefix in ascending order, its beginning.
    heads: Vec<Head>,
    /// All prefixes, one after another.
    text: String,
    /// Where each ends in `text`, which is where the next begins.
    ends: Vec<u32>,
    /// For each, the longest prefix in the table that is a proper prefix of it.
    parents: Vec<Option<u32>>,
    values: Vec<V>,
}

/// The first 32 bytes of a name, zeros behind it, big-endian: in the order of names as far as they differ there.
type Head = [u64; 4];

fn head(name: &str) -> Head {
    let mut padded = [0; 32];
    let beginning = name.as_bytes().first_chunk::<32>();
    match (beginning, padded.get_mut(..name.len())) {
        (Some(beginning), _) => padded = *beginning,
        (None, Some(start)) => start.copy_from_slice(name.as_bytes()),
        (None, None) => {}
    }
    let mut words = padded.chunks_exact(8);
    [(); 4].map(|()| words.next().and_then(|word| word.try_into().ok()).map_or(0, u64::from_be_bytes))
}

impl<V> PrefixTable<V> {
    /// From prefixes in ascending order, each once.
    ///
    /// Prefixes are file names, at most 255 bytes each, read into memory with their files: 4 GiB of them do not occur.
    /// Whatever would stand beyond that is left out, which closes it.
    pub(super) fn from_sorted(sorted: impl IntoIterator<Item = (Box<str>, V)>) -> Self {
        let mut table =
            Self { heads: Vec::new(), text: String::new(), ends: Vec::new(), parents: Vec::new(), values: Vec::new() };
        // the chain of prefixes of the last entry, the longest last
        let mut chain: Vec<u32> = Vec::new();
        for (prefix, value) in sorted {
            while chain.last().is_some_and(|last| !prefix.starts_with(table.prefix(*last))) {
                chain.pop();
            }
            let end = table.text.len().saturating_add(prefix.len());
            let (Ok(end), Ok(index)) = (u32::try_from(end), u32::try_from(table.ends.len())) else { break };
            table.heads.push(head(&prefix));
            table.text.push_str(&prefix);
            table.ends.push(end);
            table.parents.push(chain.last().copied());
            table.values.push(value);
            chain.push(index);
        }
        table
    }

    /// The longest prefix of `name` in the table, and its value.
    pub(super) fn longest_prefix(&self, name: &str) -> Option<(&str, &V)> {
        let mut index = self.last_not_after(name)?;
        loop {
            let prefix = self.prefix(index);
            if name.starts_with(prefix) {
                return Some((prefix, self.values.get(at(index))?));
            }
            index = (*self.parents.get(at(index))?)?;
        }
    }

    /// The value of one prefix.
    pub(super) fn exact(&self, prefix: &str) -> Option<&V> {
        let index = self.last_not_after(prefix)?;
        if self.prefix(index) == prefix { self.values.get(at(index)) } else { None }
    }

    /// All prefixes in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        (0..).map(|index| self.prefix(index)).zip(&self.values)
    }

    /// How many prefixes there are.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The last prefix that is not after a name.
    fn last_not_after(&self, name: &str) -> Option<u32> {
        let head = head(name);
        let before = self.heads.partition_point(|other| *other < head);
        // among those with the same head the text decides; seldom are there any
        let alike = if self.heads.get(before) == Some(&head) {
            self.heads.get(before..)?.partition_point(|other| *other == head)
        } else {
            0
        };
        let (mut low, mut high) = (before, before.saturating_add(alike));
        while low < high {
            let middle = low.midpoint(high);
            if self.prefix(u32::try_from(middle).ok()?) <= name {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        u32::try_from(low).ok()?.checked_sub(1)
    }

    /// The prefix at an index of the table; empty beyond its end.
    fn prefix(&self, index: u32) -> &str {
        let end = self.ends.get(at(index)).copied().unwrap_or(0);
        let start = index.checked_sub(1).and_then(|before| self.ends.get(at(before))).copied().unwrap_or(0);
        self.text.get(at(start)..at(end)).unwrap_or_default()
    }
}

const fn at(index: u32) -> usize {
    index as usize // widening on every platform that has the memory for a table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn table(prefixes: &[&str]) -> PrefixTable<()> {
        let sorted: BTreeMap<Box<str>, ()> = prefixes.iter().map(|prefix| ((*prefix).into(), ())).collect();
        PrefixTable::from_sorted(sorted)
    }

    #[test]
    fn the_longest_prefix_owns_a_name() {
        let table = table(&["rmq_cpu_", "rmq_cpu_andrei_", "rmq_cpu_andrei_b", "rmq_gpu_"]);
        let owner = |name| table.longest_prefix(name).map(|(prefix, ())| prefix);
        assert_eq!(owner("rmq_cpu_andrei_x"), Some("rmq_cpu_andrei_"));
        assert_eq!(owner("rmq_cpu_andrei_"), Some("rmq_cpu_andrei_"));
        assert_eq!(owner("rmq_cpu_andrei_by"), Some("rmq_cpu_andrei_b"));
        assert_eq!(owner("rmq_cpu_andre"), Some("rmq_cpu_"));
        assert_eq!(owner("rmq_cpu_zz"), Some("rmq_cpu_"));
        for name in ["rmq_", "rmq_h", "a", "", "sqs_q", "Rmq_cpu_"] {
            assert_eq!(owner(name), None, "{name}");
        }
    }

    proptest! {
        /// Short names, and names that are alike in the 32 bytes that are compared first.
        #[test]
        fn lookup_agrees_with_looking_at_all(
            start in prop::sample::select(vec!["", "rmq_department_of_long_names_", "rmq_a_name_of_more_than_32_bytes_with_ä_"]),
            prefixes in prop::collection::btree_set("[ab_ä]{0,6}", 0..40),
            names in prop::collection::vec("[ab_ä\\x00]{0,8}", 1..20),
        ) {
            let prefixes: Vec<String> = prefixes.iter().map(|prefix| format!("{start}{prefix}")).collect();
            let table = PrefixTable::from_sorted(prefixes.iter().map(|prefix| (prefix.as_str().into(), prefix.as_str())));
            prop_assert!(table.iter().map(|(prefix, _)| prefix).eq(prefixes.iter()));
            for name in names.iter().map(|name| format!("{start}{name}")) {
                let expected = prefixes.iter().filter(|prefix| name.starts_with(prefix.as_str())).max_by_key(|p| p.len());
                let found = table.longest_prefix(&name).map(|(prefix, value)| (prefix, *value));
                prop_assert_eq!(found, expected.map(|prefix| (prefix.as_str(), prefix.as_str())));
                prop_assert_eq!(table.exact(&name).is_some(), prefixes.contains(&name));
            }
        }
    }
}
