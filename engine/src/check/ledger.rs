//! Which pages have been seen, and what has been found wrong.

use super::CheckReport;
use crate::error::{Corruption, EngineError};
use crate::page::{FREE_TREE, Fault};
use crate::tree::Pages;

/// The books of one check.
pub(super) struct Ledger<'a> {
    pub(super) pages: &'a Pages,
    pub(super) report: CheckReport,
    /// One bit a page: used, or listed as free.
    seen: Vec<u64>,
    high_water: u64,
    /// Where the run of free pages that was read last ends.
    pub(super) last_free_end: Option<u64>,
    /// Some pages could not be read, so what they lead to has not been seen.
    pub(super) incomplete: bool,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(pages: &'a Pages, high_water: u64) -> Self {
        let words = (high_water / 64 + 1).min(1 << 32) as usize;
        Self {
            pages,
            report: CheckReport::default(),
            seen: vec![0; words],
            high_water,
            last_free_end: None,
            incomplete: false,
        }
    }

    /// Notes a fault of a page that cannot be followed any further: which pages nobody uses cannot be told then.
    pub(super) fn dead_end(&mut self, tree: u8, fault: Fault, from: Option<&[u8]>, to: Option<&[u8]>) {
        self.incomplete = true;
        self.fault(tree, fault, from, to);
    }

    /// Notes a fault.
    pub(super) fn fault(&mut self, tree: u8, fault: Fault, from: Option<&[u8]>, to: Option<&[u8]>) {
        if self.report.faults.len() >= CheckReport::FAULT_LIMIT {
            self.report.faults_cut = true;
            return;
        }
        let e = self.pages.error(tree, fault, from.map(<[u8]>::to_vec), to.map(<[u8]>::to_vec));
        self.report.faults.push(match e {
            EngineError::Corrupt(corruption) => *corruption,
            other => Corruption {
                file: self.pages.file.name(),
                page: 0,
                tree: self.pages.tree_name(tree),
                what: other.to_string(),
                from: None,
                to: None,
            },
        });
    }

    /// Notes that pages are used; an error when they are used twice or cannot be.
    pub(super) fn used(&mut self, start: u64, count: u64) -> Result<(), Fault> {
        let first = self.pages.geometry.first_page();
        if start < first || start.checked_add(count).is_none_or(|end| end > self.high_water) {
            return Err(Fault::page(
                start,
                format!(
                    "it does not lie between page {first} and the high-water mark, page {}",
                    self.high_water
                ),
            ));
        }
        for page in start..start + count {
            if self.mark(page) {
                return Err(Fault::page(page, "it is used twice"));
            }
        }
        Ok(())
    }

    /// Notes that pages are listed as free.
    pub(super) fn free(&mut self, start: u64, count: u64) {
        let first = self.pages.geometry.first_page();
        if start < first || start.checked_add(count).is_none_or(|end| end > self.high_water) {
            let what = format!(
                "{count} pages from it on are listed as free, which reaches outside the pages in use"
            );
            self.fault(FREE_TREE, Fault::page(start, what), None, None);
            return;
        }
        self.report.free_pages += count;
        for page in start..start + count {
            if self.mark(page) {
                self.fault(
                    FREE_TREE,
                    Fault::page(page, "it is listed as free, and is used or free already"),
                    None,
                    None,
                );
            }
        }
    }

    /// Sets the bit of a page and tells whether it was set.
    fn mark(&mut self, page: u64) -> bool {
        let (word, bit) = ((page / 64) as usize, 1 << (page % 64));
        let was = self.seen[word] & bit != 0;
        self.seen[word] |= bit;
        was
    }

    /// Looks for pages that are neither used nor free, and ends the check.
    pub(super) fn close(mut self) -> CheckReport {
        if self.incomplete {
            return self.report;
        }
        let mut page = self.pages.geometry.first_page();
        while page < self.high_water {
            let start = page;
            while page < self.high_water && self.seen[(page / 64) as usize] & (1 << (page % 64)) == 0 {
                page += 1;
            }
            if page > start {
                let what = format!("{} pages from it on are neither used nor free", page - start);
                self.fault(FREE_TREE, Fault::page(start, what), None, None);
            }
            page += 1;
        }
        self.report
    }
}
