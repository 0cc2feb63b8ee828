//! Memory in size classes. To read and write JSON is to allocate and free small texts; what the standard allocator does for
//! each of them is a quarter of the work of an output.
//!
//! What is freed waits in the list of its class for the next of that class. Large memory, and what must lie on more than 16
//! bytes, is the standard allocator's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::null_mut;

/// Bytes between two classes of small sizes, and what all of ours lies on.
const STEP: usize = 16;
/// Bytes of the largest small size.
const SMALL: usize = 512;
/// Bytes of the largest size in a class; from `SMALL` on they double.
const LARGE: usize = 32 << 10;
const CLASSES: usize = SMALL / STEP + (LARGE / SMALL).trailing_zeros() as usize;
/// Bytes that are taken from the standard allocator at a time.
const CHUNK: usize = 64 << 10;

pub struct Classes(UnsafeCell<State>);

struct State {
    /// What is free of each class; each piece begins with the address of the next.
    free: [*mut u8; CLASSES],
    /// What is left of the chunk at hand.
    next: *mut u8,
    left: usize,
}

// SAFETY: a component has one thread.
#[cfg(target_family = "wasm")]
unsafe impl Sync for Classes {}

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: Classes = Classes::new();

impl Classes {
    pub const fn new() -> Self {
        Classes(UnsafeCell::new(State { free: [null_mut(); CLASSES], next: null_mut(), left: 0 }))
    }
}

/// The class of a size, and the bytes of its pieces.
#[inline]
fn class(layout: Layout) -> Option<(usize, usize)> {
    let size = layout.size();
    if layout.align() > STEP || size > LARGE {
        return None;
    }
    if size <= SMALL {
        let steps = size.div_ceil(STEP).max(1);
        return Some((steps - 1, steps * STEP));
    }
    let size = size.next_power_of_two();
    Some((SMALL / STEP - 1 + (size / SMALL).trailing_zeros() as usize, size))
}

// SAFETY: a piece is handed out again only after it was freed, and all pieces of a class have its size and lie on `STEP` bytes.
unsafe impl GlobalAlloc for Classes {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: what the standard allocator asks of its caller, ours has asked of its own.
        let Some((class, size)) = class(layout) else { return unsafe { System.alloc(layout) } };
        // SAFETY: there is one thread, and nothing below calls back.
        let state = unsafe { &mut *self.0.get() };
        let piece = state.free[class];
        if !piece.is_null() {
            // SAFETY: `dealloc` wrote it there.
            state.free[class] = unsafe { piece.cast::<*mut u8>().read() };
            return piece;
        }
        if size > state.left {
            return state.refill(size);
        }
        let piece = state.next;
        // SAFETY: within the chunk.
        state.next = unsafe { piece.add(size) };
        state.left -= size;
        piece
    }

    #[inline]
    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        match class(layout) {
            // SAFETY: a piece of the class, which nobody uses any more, with room for an address.
            Some((class, _)) => unsafe {
                let state = &mut *self.0.get();
                piece.cast::<*mut u8>().write(state.free[class]);
                state.free[class] = piece;
            },
            // SAFETY: it came from there.
            None => unsafe { System.dealloc(piece, layout) },
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller vouches for the size.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (class(layout), class(new)) {
            (Some((old, _)), Some((new, _))) if old == new => return piece,
            // SAFETY: it came from there, and stays there.
            (None, None) => return unsafe { System.realloc(piece, layout, size) },
            _ => {}
        }
        // SAFETY: the new piece has room for what is copied, and the old one is not used any more.
        unsafe {
            let moved = self.alloc(new);
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(piece, layout.size().min(size));
                self.dealloc(piece, layout);
            }
            moved
        }
    }
}

impl State {
    /// A piece of a new chunk. What is left of the old one is lost: less than a piece, at most once for each chunk.
    #[cold]
    fn refill(&mut self, size: usize) -> *mut u8 {
        let Ok(layout) = Layout::from_size_align(CHUNK, STEP) else { return null_mut() };
        // SAFETY: it has a size.
        let chunk = unsafe { System.alloc(layout) };
        if !chunk.is_null() {
            // SAFETY: no class is larger than a chunk.
            self.next = unsafe { chunk.add(size) };
            self.left = CHUNK - size;
        }
        chunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_classes_of_at_least_their_size() {
        let of = |size| class(Layout::from_size_align(size, 8).unwrap());
        let mut last = (0, 0);
        for size in 0..=LARGE {
            let (class, bytes) = of(size).unwrap();
            assert!(bytes >= size && bytes % STEP == 0 && class < CLASSES, "{size}");
            assert!((class, bytes) == last || (bytes > last.1 && class == last.0 + usize::from(last.1 > 0)), "{size}");
            last = (class, bytes);
        }
        assert_eq!(last, (CLASSES - 1, LARGE));
        assert_eq!((of(LARGE + 1), class(Layout::from_size_align(8, 32).unwrap())), (None, None));
    }

    #[test]
    fn pieces_do_not_overlap_and_keep_what_is_in_them() {
        let allocator = Classes::new();
        let mut random = 1u64;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as usize % below
        };
        let mut live: Vec<(*mut u8, Layout, u8)> = Vec::new();
        for round in 0..200_000 {
            let size = match next(10) {
                0 => next(2 * LARGE) + 1,
                1..=3 => next(2 * SMALL) + 1,
                _ => next(64) + 1,
            };
            let mark = round as u8;
            let is_good = |(piece, layout, mark): &(*mut u8, Layout, u8)| {
                // SAFETY: it is live, and was written to in full.
                unsafe { std::slice::from_raw_parts(*piece, layout.size()) }.iter().all(|byte| byte == mark)
            };
            // SAFETY: each piece is used within its size until it is freed, by the layout it was asked for with.
            unsafe {
                match next(5) {
                    0 | 1 if live.len() < 500 => {
                        let layout = Layout::from_size_align(size, 1 << next(6)).unwrap();
                        let piece = allocator.alloc(layout);
                        assert_eq!(piece as usize % layout.align(), 0);
                        piece.write_bytes(mark, size);
                        live.push((piece, layout, mark));
                    }
                    2 if !live.is_empty() => {
                        let at = next(live.len());
                        let (piece, layout, old) = live[at];
                        let moved = allocator.realloc(piece, layout, size);
                        let kept = Layout::from_size_align(layout.size().min(size), 1).unwrap();
                        assert!(is_good(&(moved, kept, old)));
                        moved.write_bytes(mark, size);
                        live[at] = (moved, Layout::from_size_align(size, layout.align()).unwrap(), mark);
                    }
                    _ if !live.is_empty() => {
                        let one = live.swap_remove(next(live.len()));
                        assert!(is_good(&one));
                        allocator.dealloc(one.0, one.1);
                    }
                    _ => {}
                }
            }
        }
        // SAFETY: as above.
        live.iter().for_each(|one| unsafe { allocator.dealloc(one.0, one.1) });
    }

    #[test]
    fn what_was_freed_is_used_again() {
        let allocator = Classes::new();
        let layout = Layout::from_size_align(24, 8).unwrap();
        // SAFETY: freed once, by its layout.
        unsafe {
            let first = allocator.alloc(layout);
            allocator.dealloc(first, layout);
            let second = allocator.alloc(Layout::from_size_align(32, 8).unwrap());
            assert_eq!(first, second);
            allocator.dealloc(second, layout);
        }
    }
}
