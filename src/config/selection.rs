//! Which rotations of a file a run is about: `--only` and `--shard`.

use std::str::FromStr;

use crate::diagnostic::{Invalid, Problems, nearest, one_of, quoted};
use crate::yaml::keys::Field;

/// `I/N`: the `I`th of `N` parts, counted from 1.
///
/// A rotation's part depends on its name and on `N` alone: FNV-1a (64 bit) of the
/// name's UTF-8 bytes, modulo `N`. So it stays where it is when others come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    index: u64,
    count: u64,
}

impl Shard {
    pub(crate) fn takes(self, name: &str) -> bool {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        hash % self.count + 1 == self.index
    }
}

impl FromStr for Shard {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parse = || {
            let (index, count) = text.trim().split_once('/')?;
            let (index, count) = (index.trim().parse().ok()?, count.trim().parse().ok()?);
            (1..=count).contains(&index).then_some(Self { index, count })
        };
        parse()
            .ok_or_else(|| Invalid::text("shard", text).hint("expected I/N with I from 1 to N, such as 2/4"))
    }
}

/// Which rotations were asked for; by default all.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// Their names; empty: any.
    pub(crate) only: Vec<Field<String>>,
    /// A part of them.
    pub(crate) shard: Option<Shard>,
}

impl Selection {
    pub(crate) fn takes(&self, name: &str) -> bool {
        let named = self.only.is_empty() || self.only.iter().any(|o| o.value.as_deref() == Some(name));
        named && self.shard.is_none_or(|shard| shard.takes(name))
    }

    /// Notes names that no rotation has.
    pub(crate) fn check(&self, names: &[&str], problems: &mut Problems) {
        for Field { origin, value } in &self.only {
            let Some(name) = value.as_deref().filter(|name| !names.contains(name)) else { continue };
            let invalid = Invalid::new(format!("unknown rotation {}", quoted(name)));
            let known = names.iter().copied();
            let invalid = match nearest(name, known.clone()) {
                Some(meant) => invalid.help(format!("did you mean {}?", quoted(meant))),
                None if names.len() <= 10 => invalid.help(format!("known: {}", one_of(known))),
                None => invalid,
            };
            problems.error(*origin, invalid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rotation_is_in_exactly_one_shard_and_stays_there() {
        let shards: Vec<Shard> = (1..=7).map(|i| format!("{i}/7").parse().unwrap()).collect();
        let mut sizes = [0; 7];
        for name in (0..700).map(|i| format!("rotation-{i}")) {
            let taken: Vec<usize> = (0..7).filter(|&i| shards[i].takes(&name)).collect();
            assert_eq!(taken.len(), 1, "{name}");
            sizes[taken[0]] += 1;
        }
        assert!(sizes.iter().all(|&size| size > 50), "lopsided: {sizes:?}");
        // A published promise: the same in every version.
        assert!("1/4".parse::<Shard>().unwrap().takes("ci-ingest"));
    }

    #[test]
    fn shards_that_do_not_exist() {
        for text in ["", "1", "0/4", "5/4", "1/0", "a/b", "-1/2", "1/2/3"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
