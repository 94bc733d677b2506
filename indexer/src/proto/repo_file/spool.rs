//! Bytes put down until they are needed: in memory while they are few, then in a file without a name, which is gone when
//! its process is.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What stays in memory. Nearly all repos do.
const MEMORY_BYTES: usize = 1 << 20;
/// Written at once.
const PIECE_BYTES: usize = 256 << 10;

/// Bytes that are appended, and read where they lie.
#[derive(Debug)]
pub(super) struct Spool {
    dir: PathBuf,
    file: Option<File>,
    /// Of the bytes, those before are in the file.
    written_bytes: u64,
    tail: Vec<u8>,
}

impl Spool {
    /// Its file will be in `dir`, if it comes to that.
    pub fn new(dir: &Path) -> Self {
        Spool { dir: dir.to_owned(), file: None, written_bytes: 0, tail: Vec::new() }
    }

    /// Another one, beside it.
    pub fn sibling(&self) -> Self {
        Spool::new(&self.dir)
    }

    /// How many bytes there are: where the next will lie.
    pub fn len(&self) -> u64 {
        self.written_bytes + self.tail.len() as u64
    }

    /// How many of them are in memory.
    #[cfg(test)]
    pub fn memory_bytes(&self) -> usize {
        self.tail.capacity()
    }

    /// Adds bytes at the end.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.tail.extend_from_slice(bytes);
        let limit = if self.file.is_some() { PIECE_BYTES } else { MEMORY_BYTES };
        if self.tail.len() > limit { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => tempfile::tempfile_in(&self.dir)?,
        };
        file.write_all_at(&self.tail, self.written_bytes)?;
        self.file = Some(file);
        self.written_bytes += self.tail.len() as u64;
        self.tail.clear();
        self.tail.shrink_to(PIECE_BYTES);
        Ok(())
    }

    /// Fills `buffer` with the bytes from `at` on; fails where there are not so many.
    pub fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        let in_file = self.written_bytes.saturating_sub(at).min(buffer.len() as u64) as usize;
        let (first, rest) = buffer.split_at_mut(in_file);
        if let (false, Some(file)) = (first.is_empty(), &self.file) {
            file.read_exact_at(first, at)?;
        }
        if !rest.is_empty() {
            let start = (at + in_file as u64 - self.written_bytes) as usize;
            let found = start.checked_add(rest.len()).and_then(|end| self.tail.get(start..end));
            rest.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        }
        Ok(())
    }

    /// Reads from `at` to the end, in pieces.
    pub fn reader(&self, at: u64) -> impl io::Read + '_ {
        io::BufReader::with_capacity(PIECE_BYTES.min(self.len() as usize), Reader { spool: self, at })
    }
}

struct Reader<'a> {
    spool: &'a Spool,
    at: u64,
}

impl io::Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.spool.len().saturating_sub(self.at).min(buffer.len() as u64) as usize;
        self.spool.read_at(self.at, &mut buffer[..left])?;
        self.at += left as u64;
        Ok(left)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_was_put_down_is_found_in_memory_and_in_a_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let bytes: Vec<u8> = (0..3_000_000u32).map(|number| (number / 7) as u8).collect();
        for len in [10, MEMORY_BYTES, MEMORY_BYTES + 1, bytes.len()] {
            let mut spool = Spool::new(dir.path());
            for piece in bytes[..len].chunks(70_001) {
                spool.append(piece).expect("room");
            }
            assert_eq!((spool.len(), spool.file.is_some()), (len as u64, len > MEMORY_BYTES));
            let mut all = Vec::new();
            spool.reader(3).read_to_end(&mut all).expect("readable");
            assert_eq!(all, bytes[3..len]);
            // Across the border between file and memory, too.
            let middle = (spool.written_bytes.saturating_sub(3)).min(len as u64 - 6);
            let mut six = [0; 6];
            spool.read_at(middle, &mut six).expect("they are there");
            assert_eq!(six, bytes[middle as usize..][..6]);
            assert!(spool.read_at(len as u64 - 5, &mut six).is_err());
        }
        assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 0, "files have no names");
    }
}
