//! The tree of free runs: start (8 bytes, big-endian) to length (8 bytes, little-endian).

use crate::error::EngineError;
use crate::page::{Checked, FREE_TREE, Fault, Geometry};
use crate::tree::cursor::Cursor;
use crate::tree::dirty::Dirty;
use crate::tree::edit::{Edit, Freed};
use crate::tree::pages::{Pages, Reader};
use crate::tree::read::TreeView;
use crate::tree::root::TreeRoot;

/// The stamp of a free run is its length: so a long one can be found from the root down.
pub(crate) fn free_stamp(_: &[u8], value: &[u8]) -> u64 {
    value.first_chunk().map_or(0, |len| u64::from_le_bytes(*len))
}

/// Start and length of a run.
type Run = (u64, u64);

/// The tree, with the pages of it that have changed since it was last written.
#[derive(Clone)]
pub(super) struct FreeTree {
    pub(super) root: TreeRoot,
    pub(super) dirty: Dirty,
    /// Pages of the file that the tree itself no longer needs.
    pub(super) freed: Vec<Freed>,
    /// Pages in all runs.
    pub(super) pages: u64,
}

impl FreeTree {
    pub(super) fn new(geometry: Geometry, root: TreeRoot, pages: u64) -> Self {
        Self { root, dirty: Dirty::new(geometry), freed: Vec::new(), pages }
    }

    fn view<'a>(&'a self, pages: &'a Pages) -> TreeView<'a> {
        TreeView { reader: Reader { pages, dirty: Some(&self.dirty) }, tree: FREE_TREE, root: self.root }
    }

    fn edit<'a>(&'a mut self, pages: &'a Pages) -> Edit<'a> {
        Edit {
            pages,
            dirty: &mut self.dirty,
            freed: &mut self.freed,
            root: &mut self.root,
            tree: FREE_TREE,
            stamp: free_stamp,
        }
    }

    /// The run around the page `start`, if there is one, and all that begin after it.
    pub(super) fn runs_from<'a>(&'a self, pages: &'a Pages, start: u64) -> Result<Runs<'a>, EngineError> {
        let mut cursor = Cursor::new(self.view(pages), free_stamp);
        cursor.seek_before(&start.saturating_add(1).to_be_bytes())?;
        let around = decode(pages, &cursor)?.is_some_and(|(first, len)| first + len > start);
        Ok(Runs { pages, cursor, fresh: around })
    }

    /// The run around a page.
    pub(super) fn run_around(&self, pages: &Pages, page: u64) -> Result<Option<Run>, EngineError> {
        let mut cursor = Cursor::new(self.view(pages), free_stamp);
        cursor.seek_before(&page.saturating_add(1).to_be_bytes())?;
        Ok(decode(pages, &cursor)?.filter(|(first, len)| first + len > page))
    }

    /// The run that begins last.
    pub(super) fn last_run(&self, pages: &Pages) -> Result<Option<Run>, EngineError> {
        let mut cursor = Cursor::new(self.view(pages), free_stamp);
        cursor.seek_last()?;
        decode(pages, &cursor)
    }

    /// Puts pages in, merged with the runs beside them.
    pub(super) fn insert(&mut self, pages: &Pages, start: u64, len: u64) -> Result<(), EngineError> {
        let (mut first, mut total) = (start, len);
        let (before, after) = self.neighbours(pages, start)?;
        if let Some((before, before_len)) = before {
            if before + before_len > start {
                return Err(freed_twice(pages, start));
            }
            if before + before_len == start {
                (first, total) = (before, before_len + total);
            }
        }
        if let Some((after, after_len)) = after {
            if start + len > after {
                return Err(freed_twice(pages, after));
            }
            if start + len == after {
                total += after_len;
                self.change(pages, |edit| delete_run(edit, after))?;
            }
        }
        self.pages += len;
        self.change(pages, |edit| edit.put(&first.to_be_bytes(), &total.to_le_bytes()))
    }

    /// Takes pages out of the run around them.
    pub(super) fn carve(&mut self, pages: &Pages, start: u64, len: u64) -> Result<(), EngineError> {
        let end = start + len;
        let Some((first, total)) =
            self.run_around(pages, start)?.filter(|(first, total)| first + total >= end)
        else {
            let what = "it is taken from a free run that is not there";
            return Err(pages.error(FREE_TREE, Fault::page(start, what), None, None));
        };
        self.pages = self.pages.checked_sub(len).ok_or_else(|| {
            let what = "more pages are taken from the free runs than were counted";
            pages.error(FREE_TREE, Fault::page(start, what), None, None)
        })?;
        self.change(pages, |edit| {
            if first < start {
                edit.put(&first.to_be_bytes(), &(start - first).to_le_bytes())?;
            } else {
                delete_run(edit, first)?;
            }
            if end < first + total {
                edit.put(&end.to_be_bytes(), &(first + total - end).to_le_bytes())?;
            }
            Ok(())
        })
    }

    /// Changes the page at `level` on the way to `key`, if it is `page`.
    pub(super) fn move_page(
        &mut self,
        pages: &Pages,
        key: &[u8],
        level: u8,
        page: u64,
    ) -> Result<bool, EngineError> {
        let mut moved = false;
        self.change(pages, |edit| {
            moved = edit.move_page(key, level, page)?;
            Ok(())
        })?;
        Ok(moved)
    }

    fn change(
        &mut self,
        pages: &Pages,
        step: impl FnOnce(&mut Edit<'_>) -> Checked<()>,
    ) -> Result<(), EngineError> {
        step(&mut self.edit(pages)).map_err(|fault| pages.error(FREE_TREE, fault, None, None))
    }

    /// The runs before and at or after a page.
    fn neighbours(&self, pages: &Pages, start: u64) -> Result<(Option<Run>, Option<Run>), EngineError> {
        let mut cursor = Cursor::new(self.view(pages), free_stamp);
        cursor.seek(&start.to_be_bytes())?;
        let after = decode(pages, &cursor)?;
        cursor.prev()?;
        Ok((decode(pages, &cursor)?, after))
    }
}

/// Takes out the entry of a run that a cursor has just found. Only in a damaged tree does the way down miss it; going on
/// would leave its pages listed and counted as taken.
fn delete_run(edit: &mut Edit<'_>, start: u64) -> Checked<()> {
    if edit.delete(&start.to_be_bytes())? {
        return Ok(());
    }
    Err(Fault::page(start, "a free run begins at it that is found on one way and not on another"))
}

pub(super) fn freed_twice(pages: &Pages, page: u64) -> EngineError {
    pages.error(FREE_TREE, Fault::page(page, "it is freed and was free already"), None, None)
}

fn decode(pages: &Pages, cursor: &Cursor<'_>) -> Result<Option<Run>, EngineError> {
    let Some((key, value)) = cursor.entry()? else {
        return Ok(None);
    };
    decode_run(key, value).map(Some).map_err(|fault| pages.error(FREE_TREE, fault, Some(key.to_vec()), None))
}

/// Reads an entry of the free tree.
fn decode_run(key: &[u8], value: &[u8]) -> Checked<Run> {
    match (<[u8; 8]>::try_from(key), <[u8; 8]>::try_from(value)) {
        (Ok(start), Ok(len)) => {
            let (start, len) = (u64::from_be_bytes(start), u64::from_le_bytes(len));
            if len > 0 && start.checked_add(len).is_some() {
                return Ok((start, len));
            }
            Err(Fault::page(start, "a free run has an impossible length"))
        }
        _ => Err(Fault::page(0, "an entry of the free tree is not two numbers")),
    }
}

/// Walks over free runs, lowest first.
pub(super) struct Runs<'a> {
    pages: &'a Pages,
    cursor: Cursor<'a>,
    /// The cursor is on a run that has not been told yet.
    fresh: bool,
}

impl Runs<'_> {
    pub(super) fn next_run(&mut self) -> Result<Option<Run>, EngineError> {
        if !std::mem::replace(&mut self.fresh, false) {
            self.cursor.next()?;
        }
        decode(self.pages, &self.cursor)
    }

    /// The next run of at least `len` pages.
    pub(super) fn next_run_of(&mut self, len: u64) -> Result<Option<Run>, EngineError> {
        if std::mem::replace(&mut self.fresh, false) {
            self.cursor.settle_stamped(len)?;
        } else {
            self.cursor.next_stamped(len)?;
        }
        decode(self.pages, &self.cursor)
    }
}
