//! Covers in the sizes that are shown: upright, at most so large, as JPEG, whatever was given.

mod jpeg;

use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::PathBuf;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Rgb, RgbImage};
use tokio::sync::Semaphore;

/// What a record names: it fits in a square of so many pixels.
pub(crate) const COVER_PX: u32 = 1200;
/// What lists show.
pub(crate) const THUMBNAIL_PX: u32 = 160;
/// `fm.plyr.track#image`.
const COVER_MAX_BYTES: usize = 2_000_000;

/// Of a given picture: a side, all of it, and the memory for reading it, what comes out included.
const SIDE_MAX_PX: u32 = 12_000;
const AREA_MAX_PX: u64 = 24_000_000;
const MEMORY_MAX_MB: u64 = 96;
/// What the decoder of WebP holds of each pixel beside its output, at worst.
const WEBP_SCRATCH_BYTES: u64 = 7;

/// Pictures in memory at once.
static PICTURES_AT_ONCE: Semaphore = Semaphore::const_new(1);

/// A cover and its thumbnail, both JPEG.
#[derive(Debug)]
pub(crate) struct Sizes {
    pub cover: Vec<u8>,
    pub thumbnail: Vec<u8>,
}

/// Reads a picture and makes its sizes; the same file gives the same bytes. The error is for the person who sent it.
pub(crate) async fn sizes(path: PathBuf) -> std::io::Result<Result<Sizes, String>> {
    let _turn = PICTURES_AT_ONCE.acquire().await;
    let made = tokio::task::spawn_blocking(move || Ok(make(BufReader::new(File::open(&path)?)))).await;
    // A decoder that panics has met a picture that nobody can see.
    made.unwrap_or_else(|_| Ok(Err("it is damaged".to_owned())))
}

fn make(file: impl BufRead + Seek) -> Result<Sizes, String> {
    // Before it is made smaller: colours that nobody sees must not bleed into those that are seen.
    let cover = fit(&flatten(read(file)?), COVER_PX);
    let thumbnail = encode(&fit(&cover, THUMBNAIL_PX), COVER_MAX_BYTES)?;
    let cover = encode(&cover, COVER_MAX_BYTES)?;
    Ok(Sizes { cover, thumbnail })
}

fn read(mut file: impl BufRead + Seek) -> Result<DynamicImage, String> {
    let told = |error: image::ImageError| error.to_string();
    let held = jpeg::held_bytes(&mut file).map_err(|error| error.to_string())?;
    file.rewind().map_err(|error| error.to_string())?;
    let mut reader = ImageReader::new(file).with_guessed_format().map_err(|error| error.to_string())?;
    let is_webp = reader.format() == Some(ImageFormat::WebP);
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX_PX);
    limits.max_image_height = Some(SIDE_MAX_PX);
    limits.max_alloc = Some(MEMORY_MAX_MB << 20);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(told)?;
    let (width, height) = decoder.dimensions();
    let area = u64::from(width) * u64::from(height);
    if area > AREA_MAX_PX {
        return Err(format!("{width} × {height} pixels are more than {} million", AREA_MAX_PX / 1_000_000));
    }
    // The decoder counts neither what it fills for us nor, of some formats, what it keeps meanwhile.
    let scratch_bytes = if is_webp { WEBP_SCRATCH_BYTES * area } else { held.unwrap_or(0) };
    limits.reserve(decoder.total_bytes().saturating_add(scratch_bytes)).map_err(|_| {
        format!("{width} × {height} pixels of its kind take more than {MEMORY_MAX_MB} MB of memory to read; make it smaller")
    })?;
    decoder.set_limits(limits).map_err(told)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(told)?;
    if picture.width().max(picture.height()) > 2 * COVER_PX {
        // Turning costs a second copy.
        picture = picture.thumbnail(2 * COVER_PX, 2 * COVER_PX);
    }
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// JPEG knows no transparency: what shines through is white.
fn flatten(picture: DynamicImage) -> DynamicImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8().into();
    }
    let picture = picture.into_rgba8();
    let mut flat = RgbImage::new(picture.width(), picture.height());
    for (to, from) in flat.pixels_mut().zip(picture.pixels()) {
        let [r, g, b, alpha] = from.0.map(u32::from);
        *to = Rgb([r, g, b].map(|value| ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8));
    }
    flat.into()
}

/// Smaller where it must be, never larger.
fn fit(picture: &DynamicImage, side_px: u32) -> DynamicImage {
    let (width, height) = (picture.width(), picture.height());
    let longest = width.max(height);
    if longest <= side_px {
        return picture.clone();
    }
    let scaled = |side: u32| {
        let side = (u64::from(side) * u64::from(side_px) + u64::from(longest) / 2) / u64::from(longest);
        (side as u32).max(1)
    };
    picture.resize_exact(scaled(width), scaled(height), FilterType::Lanczos3)
}

fn encode(picture: &DynamicImage, max_bytes: usize) -> Result<Vec<u8>, String> {
    for quality in [88, 75, 55, 30] {
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, quality)
            .encode_image(picture)
            .map_err(|error| error.to_string())?;
        if bytes.len() <= max_bytes {
            return Ok(bytes);
        }
    }
    Err("it does not get small enough".to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{ImageBuffer, Rgba, RgbaImage};
    use proptest::prelude::*;

    use super::*;

    fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.into().write_to(&mut bytes, format).expect("encoded");
        bytes.into_inner()
    }

    fn made(bytes: Vec<u8>) -> Result<Sizes, String> {
        make(Cursor::new(bytes))
    }

    /// Red on the left, blue on the right.
    fn halves(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(
            width,
            height,
            |x, _| if x < width / 2 { Rgb([250, 0, 0]) } else { Rgb([0, 0, 250]) },
        )
    }

    fn decoded(bytes: &[u8]) -> RgbImage {
        image::load_from_memory_with_format(bytes, ImageFormat::Jpeg).expect("a JPEG").into_rgb8()
    }

    /// The JPEG with an EXIF block that says how to hold it.
    fn turned(jpeg: &[u8], orientation: u8) -> Vec<u8> {
        let exif = [
            b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".as_slice(),
            &[orientation, 0, 0, 0, 0, 0, 0],
        ];
        let exif = exif.concat();
        let length = (exif.len() as u16 + 2).to_be_bytes();
        [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
    }

    #[test]
    fn every_format_becomes_two_sizes() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif] {
            let sizes =
                made(encoded(halves(1300, 650), format)).unwrap_or_else(|why| panic!("{format:?}: {why}"));
            let (cover, thumbnail) = (decoded(&sizes.cover), decoded(&sizes.thumbnail));
            assert_eq!((cover.dimensions(), thumbnail.dimensions()), ((1200, 600), (160, 80)), "{format:?}");
            assert!(cover.get_pixel(10, 300)[0] > 200 && cover.get_pixel(1190, 300)[2] > 200, "{format:?}");
        }
        let small = made(encoded(halves(100, 300), ImageFormat::Png)).expect("made");
        assert_eq!(decoded(&small.cover).dimensions(), (100, 300));
        assert_eq!(decoded(&small.thumbnail).dimensions(), (53, 160));
        let thin = made(encoded(halves(1, 5000), ImageFormat::Png)).expect("made");
        assert_eq!(decoded(&thin.thumbnail).dimensions(), (1, 160));
    }

    #[test]
    fn pictures_stand_upright() {
        // Held by its right side: what was left is on top.
        let bytes = turned(&encoded(halves(400, 200), ImageFormat::Jpeg), 6);
        let cover = decoded(&made(bytes).expect("made").cover);
        assert_eq!(cover.dimensions(), (200, 400));
        assert!(cover.get_pixel(100, 20)[0] > 200 && cover.get_pixel(100, 380)[2] > 200);
    }

    #[test]
    fn several_pictures_in_one_file_show_the_first() {
        let first = encoded(halves(300, 300), ImageFormat::Jpeg);
        let second = encoded(RgbImage::from_pixel(40, 40, Rgb([0, 250, 0])), ImageFormat::Jpeg);
        let cover = decoded(&made([first, second].concat()).expect("made").cover);
        assert_eq!(cover.dimensions(), (300, 300));
        assert!(cover.get_pixel(10, 150)[0] > 200);
    }

    #[test]
    fn what_shines_through_is_white() {
        let clear = RgbaImage::from_pixel(50, 50, Rgba([0, 0, 0, 0]));
        let cover = decoded(&made(encoded(clear, ImageFormat::Png)).expect("made").cover);
        assert_eq!(cover.get_pixel(25, 25), &Rgb([255, 255, 255]));
    }

    #[test]
    fn a_noisy_cover_still_fits_the_record() {
        let mut seed = 1u32;
        let noise = RgbImage::from_fn(1200, 1200, |_, _| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Rgb([(seed >> 24) as u8, (seed >> 16) as u8, (seed >> 8) as u8])
        });
        let sizes = made(encoded(noise, ImageFormat::Png)).expect("made");
        assert!(sizes.cover.len() <= COVER_MAX_BYTES, "{}", sizes.cover.len());
    }

    #[test]
    fn too_large_and_broken_ones_are_told() {
        // A header that promises 50,000 by 50,000 pixels.
        let mut bomb = encoded(halves(10, 10), ImageFormat::Png);
        bomb[16..24].copy_from_slice(&[0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50]);
        assert!(made(bomb).is_err());
        for bytes in [&b""[..], b"<svg/>", b"\xff\xd8\xff", b"GIF89a"] {
            assert!(made(bytes.to_vec()).is_err());
        }
    }

    #[test]
    fn memory_is_counted_before_it_is_taken() {
        // 16 bits a channel: 8 bytes a pixel of what comes out alone.
        let deep = |side: u32| {
            let pixel = Rgba([40_000u16, 20_000, 10_000, u16::MAX]);
            encoded(ImageBuffer::from_pixel(side, side, pixel), ImageFormat::Png)
        };
        let why = made(deep(3600)).expect_err("104 MB");
        assert!(why.contains("3600 × 3600") && why.contains("96 MB"), "{why}");
        made(deep(600)).expect("3 MB");
        // All coefficients of all scans, beside what comes out.
        let small = encoded(halves(16, 16), ImageFormat::Jpeg);
        let why = made(claiming(&small, 0xc2, 4200)).expect_err("155 MB");
        assert!(why.contains("4200 × 4200") && why.contains("96 MB"), "{why}");
        let why = made(claiming(&small, 0xc0, 5000)).expect_err("25 million pixels");
        assert!(why.contains("24 million"), "{why}");
        let plain = encoded(RgbImage::from_pixel(3000, 3000, Rgb([9, 90, 200])), ImageFormat::Jpeg);
        made(plain).expect("27 MB, block by block");
    }

    /// The same with a frame header of this kind and size: enough for whoever reckons before reading.
    fn claiming(jpeg: &[u8], frame: u8, side_px: u16) -> Vec<u8> {
        let mut jpeg = jpeg.to_vec();
        let start = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a frame");
        jpeg[start + 1] = frame;
        jpeg[start + 5..start + 7].copy_from_slice(&side_px.to_be_bytes());
        jpeg[start + 7..start + 9].copy_from_slice(&side_px.to_be_bytes());
        jpeg
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn no_picture_brings_it_down(
            format in prop_oneof![Just(ImageFormat::Jpeg), Just(ImageFormat::Png), Just(ImageFormat::WebP), Just(ImageFormat::Gif)],
            damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..20),
        ) {
            let mut bytes = encoded(halves(40, 30), format);
            for (place, value) in damage {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
            let _ = made(bytes);
        }
    }
}
