//! Lets the crate build before the player is: an absent bundle is an empty one.

fn main() {
    println!("cargo::rerun-if-changed=web/dist");
    if let Err(error) = std::fs::create_dir_all("web/dist") {
        println!("cargo::warning=web/dist cannot be created: {error}");
    }
}
