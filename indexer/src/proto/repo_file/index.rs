//! Where blocks lie, by the first eight bytes of their digests: 16 bytes for each, whatever its size.
//!
//! Whoever reads a block compares the whole of it. Of two digests that begin alike only one is kept, and the file counts as
//! incomplete: chance does that to one in thirty million repos with a million nodes, and malice only to its own repo.

/// Offsets by digest.
#[derive(Debug, Default)]
pub(super) struct Index {
    places: Vec<(u64, u64)>,
}

fn prefix(digest: &[u8]) -> u64 {
    digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

impl Index {
    pub fn add(&mut self, digest: &[u8], offset: u64) {
        self.places.push((prefix(digest), offset));
    }

    /// To be called after the last was added and before the first is looked up.
    pub fn close(&mut self) {
        self.places.sort_unstable();
        self.places.dedup_by_key(|(prefix, _)| *prefix);
        self.places.shrink_to_fit();
    }

    /// Where a block lies, if it is here.
    pub fn find(&self, digest: &[u8]) -> Option<u64> {
        let at = self.places.binary_search_by_key(&prefix(digest), |(prefix, _)| *prefix).ok()?;
        Some(self.places[at].1)
    }

    /// The place of a digest that is here, to be filled in.
    pub fn place_of(&mut self, digest: &[u8]) -> Option<&mut u64> {
        let at = self.places.binary_search_by_key(&prefix(digest), |(prefix, _)| *prefix).ok()?;
        Some(&mut self.places[at].1)
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }
}
