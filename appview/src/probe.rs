//! What a sound is: how long it plays, or why it cannot be played at all. Tags inside the file are not read.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lofty::config::{ParseOptions, ParsingMode};
use lofty::file::{AudioFile, FileType};
use lofty::probe::Probe;

/// The kinds of sound that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Mp3,
    M4a,
    Wav,
}

/// For people: all of [`Format`].
pub(crate) const ACCEPTED: &str = "mp3, m4a, wav";

impl Format {
    /// By the type that was found in the bytes.
    pub fn of_mime(mime: &str) -> Option<Self> {
        Some(match mime {
            "audio/mpeg" => Format::Mp3,
            "audio/mp4" => Format::M4a,
            "audio/wav" => Format::Wav,
            _ => return None,
        })
    }

    /// `fileType` of a record.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Mp3 => "mp3",
            Format::M4a => "m4a",
            Format::Wav => "wav",
        }
    }

    fn file_type(self) -> FileType {
        match self {
            Format::Mp3 => FileType::Mpeg,
            Format::M4a => FileType::Mp4,
            Format::Wav => FileType::Wav,
        }
    }
}

/// What a file may cost us: whoever made it may have wanted it to cost more.
const READ_MAX_BYTES: u64 = 64 << 20;
const TIME_MAX: Duration = Duration::from_secs(20);

/// How long it plays, rounded to seconds, at least one. The error is for the person who sent it.
pub(crate) async fn duration_s(path: PathBuf, format: Format) -> io::Result<Result<i32, String>> {
    let probed = tokio::task::spawn_blocking(move || probe(&path, format)).await;
    // A parser that panics has met a file that nobody can play.
    probed.unwrap_or_else(|_| Ok(Err("it is damaged".to_owned())))
}

fn probe(path: &Path, format: Format) -> io::Result<Result<i32, String>> {
    let bounded =
        Bounded { file: File::open(path)?, left_bytes: READ_MAX_BYTES, until: Instant::now() + TIME_MAX };
    let options =
        ParseOptions::new().read_tags(false).read_cover_art(false).parsing_mode(ParsingMode::Relaxed);
    let sound = Probe::with_file_type(BufReader::new(bounded), format.file_type()).options(options).read();
    Ok(match sound {
        Ok(sound) => {
            let duration = sound.properties().duration();
            if duration.is_zero() {
                Err("it holds no sound".to_owned())
            } else {
                Ok(i32::try_from(duration.as_millis().saturating_add(500) / 1000).unwrap_or(i32::MAX).max(1))
            }
        }
        Err(error) => Err(error.to_string()),
    })
}

/// A file that can be read only so much and so long.
struct Bounded {
    file: File,
    left_bytes: u64,
    until: Instant,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left_bytes == 0 || Instant::now() > self.until {
            return Err(io::Error::other("it is not to be understood within reasonable effort"));
        }
        let most = usize::try_from(self.left_bytes).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read(&mut buffer[..most])?;
        self.left_bytes -= read as u64;
        Ok(read)
    }
}

impl Seek for Bounded {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One channel of 8 bits at 1 kHz.
    fn wav(samples: u32) -> Vec<u8> {
        let mut bytes = b"RIFF".to_vec();
        bytes.extend_from_slice(&(36 + samples).to_le_bytes());
        bytes.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\xe8\x03\0\0\xe8\x03\0\0\x01\0\x08\0data");
        bytes.extend_from_slice(&samples.to_le_bytes());
        bytes.resize(bytes.len() + samples as usize, 128);
        bytes
    }

    fn probe_bytes(bytes: &[u8], format: Format) -> Result<i32, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sound");
        std::fs::write(&path, bytes).expect("written");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(duration_s(path, format)).expect("the disk works")
    }

    #[test]
    fn durations_are_whole_seconds() {
        assert_eq!(probe_bytes(&wav(1000), Format::Wav), Ok(1));
        assert_eq!(probe_bytes(&wav(2600), Format::Wav), Ok(3));
        assert_eq!(probe_bytes(&wav(10), Format::Wav), Ok(1));
        assert!(probe_bytes(&wav(0), Format::Wav).is_err());
    }

    #[test]
    fn what_is_not_sound_is_told() {
        for format in [Format::Mp3, Format::M4a, Format::Wav] {
            assert!(probe_bytes(b"", format).is_err());
            assert!(probe_bytes(b"<html>nothing to hear</html>", format).is_err());
            assert!(probe_bytes(&[0xff; 5000], format).is_err());
            assert!(probe_bytes(&[0; 5000], format).is_err());
            assert_eq!(
                Format::of_mime(&format!("audio/{}", format.extension())).is_some(),
                format == Format::Wav
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_file_brings_it_down(
            damage in proptest::collection::vec((0usize..60, any::<u8>()), 1..12),
            tail in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut mp4 = b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42isom\0\0\0\x08free\0\0\0\x20moov\0\0\0\x18trak".to_vec();
            let mut mp3 = b"ID3\x04\0\0\0\0\0\x04abcd\xff\xfb\x90\x00".to_vec();
            for (bytes, format) in [(&mut wav(100), Format::Wav), (&mut mp4, Format::M4a), (&mut mp3, Format::Mp3)] {
                bytes.extend(&tail);
                for (place, value) in &damage {
                    let place = place % bytes.len();
                    bytes[place] = *value;
                }
                let _ = probe_bytes(bytes, format);
            }
        }
    }
}
