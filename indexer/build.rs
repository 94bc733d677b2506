//! The crate embeds two folders that lie outside it: Cargo must be told to look at them.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
    println!("cargo:rerun-if-changed=../lexicons");
}
