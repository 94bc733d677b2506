//! Compressed messages: one zstd frame each, on a dictionary that both sides hold.

use std::io;

use zstd::bulk::Decompressor;
use zstd::zstd_safe;

use super::MESSAGE_BYTES_MAX;

/// The dictionary of the older dialect, which never changes. From the crate jetstream-oxide (MIT); see the licence beside
/// it.
static FIXED: &[u8] = include_bytes!("dictionary_v1.zdict");

/// A dictionary longer than this is none that a server would send to everybody.
pub(super) const DICTIONARY_BYTES_MAX: u64 = 4 << 20;

/// What most messages fit into.
const ROOM_BYTES: usize = 64 * 1024;

/// Decompresses one connection's messages.
pub(super) struct Inflater {
    decompressor: Decompressor<'static>,
    room: Vec<u8>,
}

/// The number by which a dictionary is asked for; none when these bytes are no dictionary.
pub(super) fn id(dictionary: &[u8]) -> Option<u32> {
    zstd_safe::get_dict_id_from_dict(dictionary).map(|id| id.get())
}

impl Inflater {
    /// On the dictionary of the older dialect.
    pub fn fixed() -> io::Result<Self> {
        Inflater::new(FIXED)
    }

    pub fn new(dictionary: &[u8]) -> io::Result<Self> {
        let decompressor = Decompressor::with_dictionary(dictionary)?;
        Ok(Inflater { decompressor, room: Vec::new() })
    }

    /// The plain bytes, never more than [`MESSAGE_BYTES_MAX`].
    pub fn inflate(&mut self, message: &[u8]) -> io::Result<&[u8]> {
        let too_long = || io::Error::other(format!("more than {MESSAGE_BYTES_MAX} bytes when decompressed"));
        let declared = zstd_safe::get_frame_content_size(message).ok().flatten();
        let mut room = match declared {
            Some(size) => usize::try_from(size).map_err(|_| too_long())?.max(1),
            None => ROOM_BYTES.max(message.len()),
        };
        loop {
            if room > MESSAGE_BYTES_MAX {
                return Err(too_long());
            }
            self.room.clear();
            self.room.reserve(room);
            match self.decompressor.decompress_to_buffer(message, &mut self.room) {
                Ok(_) => return Ok(&self.room),
                // Without a declared size there is no telling a small room from a broken message.
                Err(error) if declared.is_some() || room == MESSAGE_BYTES_MAX => return Err(error),
                Err(_) => room = (room * 8).min(MESSAGE_BYTES_MAX),
            }
        }
    }
}
