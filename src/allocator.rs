//! The allocator of the whole process.
//!
//! A record is hundreds of small allocations, made on one thread and freed on another. With glibc's a reported record spent a
//! third of its time on them, and what was given was kept; jemalloc takes a fraction of that, and gives back.

use std::ffi::c_char;

#[global_allocator]
static JEMALLOC: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// As many arenas as processors, so that what one thread frees serves the others; what lies unused for a second goes back to
/// the system, by a thread of its own. `_RJEM_MALLOC_CONF` in the environment says otherwise. Where the number of processors
/// is not certain, as in some containers, jemalloc says so once and takes four arenas for each.
// SAFETY: jemalloc declares this name weakly, as a `const char *` that it only reads.
#[unsafe(export_name = "_rjem_malloc_conf")]
static CONF: Conf =
    Conf(c"percpu_arena:percpu,background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0".as_ptr());

/// As C knows it: `const char *`.
#[repr(transparent)]
struct Conf(*const c_char);

// SAFETY: what it points to is never written.
unsafe impl Sync for Conf {}
