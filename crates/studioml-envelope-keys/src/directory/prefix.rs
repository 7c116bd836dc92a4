//! Longest-prefix lookup over many prefixes.
//!
//! The prefixes are sorted, and each knows the longest other prefix of itself. One binary search finds the last prefix that
//! is not after the name; if it is not one of the name's, the way up leads to the longest that is: whatever stands between a
//! prefix of the name and the name begins with that prefix too.

/// A table from prefixes to values.
pub(super) struct PrefixTable<V> {
    entries: Vec<Entry<V>>,
}

struct Entry<V> {
    prefix: Box<str>,
    /// The longest prefix in the table that is a proper prefix of this one.
    parent: Option<u32>,
    value: V,
}

impl<V> PrefixTable<V> {
    /// From prefixes in ascending order, each once.
    pub(super) fn from_sorted(sorted: impl IntoIterator<Item = (Box<str>, V)>) -> Self {
        let mut entries: Vec<Entry<V>> = Vec::new();
        // the chain of prefixes of the last entry, the longest last
        let mut chain: Vec<u32> = Vec::new();
        for (prefix, value) in sorted {
            while let Some(last) = chain.last().and_then(|last| entry_at(&entries, *last)) {
                if prefix.starts_with(&*last.prefix) {
                    break;
                }
                chain.pop();
            }
            let parent = chain.last().copied();
            // more than 2^32 files do not fit into a directory that is read whole
            let index = u32::try_from(entries.len()).unwrap_or(u32::MAX);
            entries.push(Entry { prefix, parent, value });
            chain.push(index);
        }
        Self { entries }
    }

    /// The longest prefix of `name` in the table, and its value.
    pub(super) fn longest_prefix(&self, name: &str) -> Option<(&str, &V)> {
        let not_after = self.entries.partition_point(|entry| &*entry.prefix <= name);
        let mut entry = self.entries.get(not_after.checked_sub(1)?)?;
        while !name.starts_with(&*entry.prefix) {
            entry = entry_at(&self.entries, entry.parent?)?;
        }
        Some((&entry.prefix, &entry.value))
    }

    /// The value of one prefix.
    pub(super) fn exact(&self, prefix: &str) -> Option<&V> {
        let at = self.entries.binary_search_by(|entry| (*entry.prefix).cmp(prefix)).ok()?;
        self.entries.get(at).map(|entry| &entry.value)
    }

    /// All prefixes in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.entries.iter().map(|entry| (&*entry.prefix, &entry.value))
    }

    /// How many prefixes there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

fn entry_at<V>(entries: &[Entry<V>], index: u32) -> Option<&Entry<V>> {
    entries.get(usize::try_from(index).ok()?)
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
        #[test]
        fn lookup_agrees_with_looking_at_all(
            prefixes in prop::collection::btree_set("[ab_]{0,6}", 0..40),
            names in prop::collection::vec("[ab_]{0,8}", 1..20),
        ) {
            let table = PrefixTable::from_sorted(prefixes.iter().map(|prefix| (prefix.as_str().into(), ())));
            for name in &names {
                let expected = prefixes.iter().filter(|prefix| name.starts_with(prefix.as_str())).max_by_key(|p| p.len());
                prop_assert_eq!(table.longest_prefix(name).map(|(prefix, ())| prefix), expected.map(String::as_str));
            }
        }
    }
}
