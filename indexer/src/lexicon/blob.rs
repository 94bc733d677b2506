//! References to blobs: `{"$type": "blob", "ref": link, "mimeType": text, "size": bytes}`.

use cid::Cid;
use ipld_core::ipld::Ipld;

use super::check::mismatch;
use super::schema::Blob;
use super::violation::{Violation, quoted};

/// Multicodec numbers: the hash and the content type that every blob's CID has.
const SHA2_256: u64 = 0x12;
const RAW: u64 = 0x55;

/// Checks a reference to a blob. What the blob's bytes are is another matter: this is what the author says of them.
pub(super) fn check_blob(rule: &Blob, value: &Ipld) -> Result<(), Violation> {
    let Ipld::Map(entries) = value else { return Err(mismatch("a blob", value)) };
    match entries.get("$type") {
        Some(Ipld::String(kind)) if kind == "blob" => {}
        None if entries.contains_key("cid") && entries.contains_key("mimeType") => {
            return Err(Violation::new(
                "legacy blob reference {cid, mimeType}: it has no size and no typed link",
            ));
        }
        Some(other) => return Err(mismatch("\"blob\"", other).under("$type")),
        None => return Err(Violation::new("is required in a blob").under("$type")),
    }
    match entries.get("ref") {
        Some(Ipld::Link(cid)) if is_blob_cid(cid) => {}
        Some(Ipld::Link(cid)) => {
            return Err(Violation::new(format!("must be a raw SHA-256 CID, is {cid}")).under("ref"));
        }
        Some(other) => return Err(mismatch("a link", other).under("ref")),
        None => return Err(Violation::new("is required").under("ref")),
    }
    match entries.get("mimeType") {
        Some(Ipld::String(mime)) => {
            check_mime(rule.accept.as_deref(), mime).map_err(|violation| violation.under("mimeType"))?;
        }
        Some(other) => return Err(mismatch("a string", other).under("mimeType")),
        None => return Err(Violation::new("is required").under("mimeType")),
    }
    match entries.get("size") {
        Some(Ipld::Integer(size)) if *size < 1 => {
            Err(Violation::new(format!("must be at least 1, is {size}")).under("size"))
        }
        Some(Ipld::Integer(size)) => match rule.max_size {
            Some(most) if *size > i128::from(most) => {
                Err(Violation::new(format!("must be at most {most} bytes, is {size}")).under("size"))
            }
            _ => Ok(()),
        },
        Some(other) => Err(mismatch("an integer", other).under("size")),
        None => Err(Violation::new("is required").under("size")),
    }
}

fn is_blob_cid(cid: &Cid) -> bool {
    cid.version() == cid::Version::V1
        && cid.codec() == RAW
        && cid.hash().code() == SHA2_256
        && cid.hash().size() == 32
}

/// Compares the MIME type, its parameters left out, with a list of types and globs.
fn check_mime(accept: Option<&[String]>, mime: &str) -> Result<(), Violation> {
    let essence = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some((kind, subtype)) = essence.split_once('/').filter(|(a, b)| !a.is_empty() && !b.is_empty())
    else {
        return Err(Violation::new(format!("must be a MIME type, is {}", quoted(mime))));
    };
    let accepts = |glob: &String| match glob.split_once('/') {
        Some(("*", "*")) => true,
        Some((wanted, "*")) => wanted == kind,
        Some(wanted) => wanted == (kind, subtype),
        None => false,
    };
    match accept {
        Some(accept) if !accept.iter().any(accepts) => {
            Err(Violation::new(format!("must be {}, is {}", accept.join(" or "), quoted(mime))))
        }
        _ => Ok(()),
    }
}
