//! The allocator of the whole process.
//!
//! A record is hundreds of small allocations, made on one thread and freed on another. glibc's spends a third of the time of a
//! reported record on that, and keeps what it was given; jemalloc half as much, and gives it back.

use std::ffi::c_char;

#[global_allocator]
static JEMALLOC: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// As many arenas as processors, so that what one thread frees serves the others; what lies unused for a second goes back to
/// the system, by a thread of its own. `_RJEM_MALLOC_CONF` in the environment says otherwise.
#[unsafe(export_name = "_rjem_malloc_conf")]
static CONF: Conf =
    Conf(c"percpu_arena:percpu,background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0".as_ptr());

/// As C knows it: `const char *`.
#[repr(transparent)]
struct Conf(*const c_char);

// SAFETY: what it points to is never written.
unsafe impl Sync for Conf {}
