//! Sound in the formats that people have, made by a true encoder.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Three seconds that no other call gives.
pub fn sound(arguments: &[&str], extension: &str) -> Vec<u8> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(format!("sound.{extension}"));
    let source = format!("sine=frequency={}:duration=3", 300 + 17 * number);
    let made = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-f", "lavfi", "-i", &source])
        .args(arguments)
        .arg(&path)
        .output()
        .expect("ffmpeg runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::read(path).expect("a file")
}

pub fn mp3() -> Vec<u8> {
    sound(&["-c:a", "libmp3lame", "-metadata", "title=not this one"], "mp3")
}

pub fn m4a() -> Vec<u8> {
    sound(&["-c:a", "aac"], "m4a")
}

pub fn wav() -> Vec<u8> {
    sound(&["-c:a", "pcm_s16le"], "wav")
}

/// A film without a sound.
pub fn silent_film() -> Vec<u8> {
    sound(&["-f", "lavfi", "-i", "color=c=blue:s=64x64:d=1", "-map", "1:v", "-c:v", "mpeg4"], "mp4")
}

/// A picture of a size; `png16` has 16 bits a channel and transparency.
pub fn picture(size: &str, kind: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let (extension, format) = if kind == "png16" { ("png", "rgba64be") } else { (kind, "") };
    let path = folder.path().join(format!("picture.{extension}"));
    let source = format!("testsrc=size={size}:duration=1:rate=1");
    let format: &[&str] = if format.is_empty() { &[] } else { &["-pix_fmt", format] };
    let made = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-f", "lavfi", "-i", &source, "-frames:v", "1"])
        .args(format)
        .arg(&path)
        .output()
        .expect("ffmpeg runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::read(path).expect("a file")
}
