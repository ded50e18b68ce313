//! What becomes of a thread that touches a mapped page which the system cannot bring in.
//!
//! A bad sector, a file that somebody has cut, a failing memory module: through a map each of them is a SIGBUS, and the
//! default action ends the process without a word. Here it becomes a fault with a name.
//!
//! 1. Every map of a file stands in a fixed table of address ranges ([`Guard`]), written under a lock and read without
//!    one. With the first of them a handler for SIGBUS is installed.
//! 2. The handler looks up the address. One of ours is a [`MemoryFault`]: which file, which byte. Any other address, and
//!    a signal that somebody has sent, goes to what was there before (the standard library's handler, which ends the
//!    process as the default action does).
//! 3. With a [`FaultWatch`], the handler writes the fault into a pipe and parks its thread for good: the bytes that the
//!    thread wants do not exist, so it cannot go on, and it cannot be unwound. The watcher, on a thread of its own, reads
//!    the pipe, says what has happened and stops the process in an orderly way. It must not wait for the parked thread,
//!    nor for a lock which that thread may hold, without a deadline.
//! 4. Without a watcher (tools, tests) the handler writes one line to stderr and ends the process with
//!    [`MEMORY_FAULT_STATUS`].
//!
//! The handler does only what is safe in one: it reads atomics, calls `write`, `pause`, `sigaction`, `signal`, `raise`
//! and `_exit`, and its buffers are on its stack (the alternate one, which every thread of the standard library has). The
//! range that it looks for cannot disappear meanwhile: whoever reads through a map keeps it alive, and that is the very
//! thread in the handler. Other ranges may come and go; a range counts only when its start is the same before and after
//! its length was read.

use std::ffi::{c_int, c_void};
use std::io::{Error, ErrorKind, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Status of a process without a [`FaultWatch`] that has met a page which cannot be read: `EX_IOERR` of sysexits.
pub const MEMORY_FAULT_STATUS: i32 = 74;

/// Most maps that are guarded at a time. A server has one; a map beyond these keeps the default action.
const SLOTS: usize = 128;
/// Longest name kept for the message; of a longer one the end is kept.
const NAME_BYTES: usize = 240;
/// A record in the pipe: slot, offset, code. Far below `PIPE_BUF`, so records are never mixed.
const RECORD_BYTES: usize = 24;
/// In place of a slot: the record asks the watcher whose number follows to end.
const STOP: u64 = u64::MAX;

/// A range of addresses and the file behind it.
struct Slot {
    /// Address of the first byte; 0 for a slot that is not in use.
    start: AtomicUsize,
    len: AtomicUsize,
    name_len: AtomicUsize,
    name: [AtomicU8; NAME_BYTES],
}

impl Slot {
    const fn new() -> Self {
        Self {
            start: AtomicUsize::new(0),
            len: AtomicUsize::new(0),
            name_len: AtomicUsize::new(0),
            name: [const { AtomicU8::new(0) }; NAME_BYTES],
        }
    }

    /// Offset of an address in this range.
    fn offset_of(&self, address: usize) -> Option<usize> {
        let start = self.start.load(Ordering::Acquire);
        let offset = address.checked_sub(start)?;
        let inside = start != 0 && offset < self.len.load(Ordering::Acquire);
        (inside && self.start.load(Ordering::Acquire) == start).then_some(offset)
    }

    fn copy_name(&self, to: &mut [u8; NAME_BYTES]) -> usize {
        let len = self.name_len.load(Ordering::Acquire).min(NAME_BYTES);
        for (to, from) in to.iter_mut().zip(&self.name[..len]) {
            *to = from.load(Ordering::Relaxed);
        }
        len
    }
}

static TABLE: [Slot; SLOTS] = [const { Slot::new() }; SLOTS];
/// Held by whoever changes the table.
static CHANGING: Mutex<()> = Mutex::new(());
/// The action that was in force before ours; set before ours is.
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();
/// Number of the watcher that reads the pipe; 0 for none.
static WATCHER: AtomicU64 = AtomicU64::new(0);
static NEXT_WATCHER: AtomicU64 = AtomicU64::new(1);
static PIPE: OnceLock<(PipeReader, PipeWriter)> = OnceLock::new();
/// The pipe's writing end, for the handler.
static PIPE_END: AtomicI32 = AtomicI32::new(-1);
/// Whether the handler is installed; unset until that has been tried.
static INSTALLED: OnceLock<bool> = OnceLock::new();

/// Keeps a map in the table.
#[derive(Debug)]
pub(super) struct Guard {
    slot: Option<usize>,
}

impl Guard {
    /// Guards `len` bytes at `start`, which belong to the file of this name. When there is no room left in the table, or
    /// the system refuses the handler, the map stays unguarded.
    pub(super) fn new(name: &str, start: *const u8, len: usize) -> Self {
        let _changing = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
        if !*INSTALLED.get_or_init(install) {
            return Self { slot: None };
        }
        let free = TABLE.iter().position(|slot| slot.start.load(Ordering::Relaxed) == 0);
        if let Some(slot) = free.map(|free| &TABLE[free]) {
            let name = &name.as_bytes()[name.len().saturating_sub(NAME_BYTES)..];
            for (to, from) in slot.name.iter().zip(name) {
                to.store(*from, Ordering::Relaxed);
            }
            slot.name_len.store(name.len(), Ordering::Release);
            slot.len.store(len, Ordering::Release);
            slot.start.store(start.addr(), Ordering::Release);
        }
        Self { slot: free }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            let _changing = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
            TABLE[slot].start.store(0, Ordering::Release);
        }
    }
}

/// Installs the handler; false when the system refuses it. Called once in a process.
fn install() -> bool {
    // SAFETY: an all-zero `sigaction` is a valid value of the plain C struct; both calls get pointers to live values of
    // it; and the handler does only what is allowed in one (module head).
    unsafe {
        let mut previous: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(libc::SIGBUS, std::ptr::null(), &raw mut previous) != 0 {
            return false;
        }
        // Known before the handler can run, which passes on to it.
        PREVIOUS.get_or_init(|| previous);
        let mut ours: libc::sigaction = std::mem::zeroed();
        let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_sigbus;
        ours.sa_sigaction = handler as usize;
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigemptyset(&raw mut ours.sa_mask);
        libc::sigaction(libc::SIGBUS, &raw const ours, std::ptr::null_mut()) == 0
    }
}

extern "C" fn on_sigbus(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel hands a handler that was installed with SA_SIGINFO a valid description of the signal, and for a
    // SIGBUS of its own (a positive code) it holds an address.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr().addr()) };
    let found = TABLE.iter().enumerate().find_map(|(n, slot)| Some((n, slot.offset_of(address)?)));
    match found {
        Some((slot, offset)) if code > 0 => meet(slot, offset as u64, code),
        _ => pass_on(signal, info, context, code),
    }
}

/// The fault is in one of our maps: tells the watcher and parks, or tells stderr and ends.
fn meet(slot: usize, offset: u64, code: c_int) -> ! {
    if WATCHER.load(Ordering::Acquire) == 0 {
        let mut line = Line::new();
        let mut name = [0; NAME_BYTES];
        let name_len = TABLE[slot].copy_name(&mut name);
        line.push(&name[..name_len]);
        line.push(b": the system cannot read the mapped file at offset ");
        line.push_number(offset);
        line.push(b" (SIGBUS, code ");
        line.push_number(u64::from(code.unsigned_abs()));
        line.push(b"): a bad sector, or the file was cut by another program; nothing was changed. Look into the kernel's log, and restore the file\n");
        write_raw(libc::STDERR_FILENO, &line.bytes[..line.len]);
        exit_now(MEMORY_FAULT_STATUS);
    }
    write_raw(PIPE_END.load(Ordering::Acquire), &record([slot as u64, offset, code as u64]));
    loop {
        // SAFETY: `pause` has no arguments and is allowed in a handler.
        unsafe { libc::pause() };
    }
}

/// The signal is not about one of our maps: what was in force before decides.
///
/// A signal that was sent (by `kill`, with a code that is not positive; or by the kernel about memory that nobody has
/// touched yet, 5) does not come back when the handler returns, unlike that of an instruction, which is tried again. So
/// where the default action is due, it has to be raised; raised in here it is delivered when the handler returns.
fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void, code: c_int) {
    let comes_back = code > 0 && code != 5;
    let previous = PREVIOUS.get().map_or((libc::SIG_DFL, 0), |old| (old.sa_sigaction, old.sa_flags));
    match previous {
        // What an instruction has caused cannot be ignored: it would be tried again for ever.
        (libc::SIG_IGN, _) if !comes_back => return,
        (libc::SIG_DFL | libc::SIG_IGN, _) => {
            // SAFETY: a plain call with valid arguments, allowed in a handler.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        (handler, flags) if flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: the action was installed with SA_SIGINFO, so that its handler has this signature.
            let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                unsafe { std::mem::transmute(handler) };
            handler(signal, info, context);
        }
        (handler, _) => {
            // SAFETY: the action was installed without SA_SIGINFO, so that its handler has this signature.
            let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute(handler) };
            handler(signal);
        }
    }
    // The standard library's handler, too, puts the default action in force and leaves the rest to it.
    if !comes_back && is_default(signal) {
        // SAFETY: a plain call with a valid argument, allowed in a handler.
        unsafe { libc::raise(signal) };
    }
}

/// Whether the default action is in force.
fn is_default(signal: c_int) -> bool {
    // SAFETY: an all-zero `sigaction` is a valid value of the plain C struct, the call gets a pointer to it, and is
    // allowed in a handler.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut now) == 0 && now.sa_sigaction == libc::SIG_DFL
    }
}

fn record(fields: [u64; 3]) -> [u8; RECORD_BYTES] {
    let mut bytes = [0; RECORD_BYTES];
    for (to, field) in bytes.chunks_exact_mut(8).zip(fields) {
        to.copy_from_slice(&field.to_ne_bytes());
    }
    bytes
}

fn write_raw(fd: c_int, bytes: &[u8]) {
    // SAFETY: the pointer and the length are those of a live slice. Nothing can be done when it fails.
    let _ = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
}

/// Ends the process at once: no destructors, no handlers of the C library, no waiting for any lock. For a process in which
/// a thread is parked and an orderly end has not come about in time.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: `_exit` may be called anywhere and does not return.
    unsafe { libc::_exit(status) }
}

/// A line made on the stack, since a handler may not allocate.
struct Line {
    bytes: [u8; 640],
    len: usize,
}

impl Line {
    fn new() -> Self {
        Self { bytes: [0; 640], len: 0 }
    }

    fn push(&mut self, text: &[u8]) {
        for (to, from) in self.bytes.iter_mut().skip(self.len).zip(text) {
            *to = *from;
            self.len += 1;
        }
    }

    fn push_number(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.push(&digits[first..]);
    }
}

/// A page of a mapped file that the system could not bring in. The thread that wanted it is parked for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryFault {
    /// The file.
    pub file: String,
    /// The byte that was touched, from the beginning of the file.
    pub offset: u64,
    /// The `si_code` of the signal: 2 (`BUS_ADRERR`) for a file that was cut or cannot be read, 4 and 5 for a failing
    /// memory module.
    pub code: i32,
}

impl std::fmt::Display for MemoryFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let why = match self.code {
            4 | 5 => "the memory that holds it is failing",
            _ => "a bad sector, or the file was cut by another program",
        };
        write!(
            f,
            "{}: the system cannot read the mapped file at offset {} (SIGBUS): {why}",
            self.file, self.offset
        )
    }
}

/// The one that is told of faults: see the module head. There is one at a time in a process.
#[derive(Debug)]
pub struct FaultWatch {
    number: u64,
}

/// Ends a [`FaultWatch`] that waits on another thread.
#[derive(Debug, Clone, Copy)]
pub struct FaultWatchStop {
    number: u64,
}

impl FaultWatch {
    /// From here on a thread that meets a fault is parked, and [`FaultWatch::wait`] returns the fault. Fails when somebody
    /// else watches already, or the system gives no pipe.
    pub fn start() -> Result<Self, Error> {
        let pipe = if let Some(pipe) = PIPE.get() {
            pipe
        } else {
            let new = std::io::pipe()?;
            PIPE.get_or_init(|| new)
        };
        PIPE_END.store(pipe.1.as_raw_fd(), Ordering::Release);
        let number = NEXT_WATCHER.fetch_add(1, Ordering::Relaxed);
        match WATCHER.compare_exchange(0, number, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(Self { number }),
            Err(_) => Err(Error::new(ErrorKind::AlreadyExists, "faults of mapped files are watched already")),
        }
    }

    /// What ends the waiting.
    pub fn stopper(&self) -> FaultWatchStop {
        FaultWatchStop { number: self.number }
    }

    /// Waits for a fault, for as long as it takes; `None` once it was stopped. Keep the watch after a fault: without it
    /// the next thread that meets one would end the process.
    pub fn wait(&self) -> Option<MemoryFault> {
        let mut reader = &PIPE.get()?.0;
        loop {
            let mut bytes = [0; RECORD_BYTES];
            reader.read_exact(&mut bytes).ok()?;
            let field = |n: usize| u64::from_ne_bytes(std::array::from_fn(|i| bytes[n * 8 + i]));
            match (field(0), field(1), field(2)) {
                (STOP, number, _) if number == self.number => return None,
                (STOP, ..) => {}
                (slot, offset, code) => {
                    let mut name = [0; NAME_BYTES];
                    let len = TABLE.get(slot as usize)?.copy_name(&mut name);
                    let file = String::from_utf8_lossy(&name[..len]).into_owned();
                    return Some(MemoryFault { file, offset, code: code as i32 });
                }
            }
        }
    }
}

impl Drop for FaultWatch {
    fn drop(&mut self) {
        WATCHER.store(0, Ordering::Release);
    }
}

impl FaultWatchStop {
    /// Has [`FaultWatch::wait`] return `None`.
    pub fn stop(self) {
        if let Some((_, writer)) = PIPE.get() {
            let mut writer = writer;
            // A full pipe or none: then nobody waits.
            let _ = writer.write_all(&record([STOP, self.number, 0]));
        }
    }
}

#[cfg(test)]
mod tests;
