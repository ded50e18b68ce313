//! Opening a file: which of the two meta pages to go by, and what to do when one cannot be read.
//!
//! Both meta pages are read. When both are whole, the newer one is the state to open, and nothing else is
//! looked at. When one is not, nobody can say whether it was the newer (a checkpoint that a crash broke off,
//! or decay afterwards): then the one that is left is used only if the caller's log still reaches back to
//! its mark, and only after every page that it leads to has been found whole.

use std::sync::Arc;

use super::db::{Db, Durable, Parts};
use super::pages::Pages;
use super::root::{DEPTH_LIMIT, Root, TreeRoot};
use super::space::Space;
use super::{Checkpoint, DbOptions, TreeSpec};
use crate::error::OpenError;
use crate::file::{PageFile, SECTOR_BYTES};
use crate::page::{
    FORMAT_VERSION, Geometry, HEAD_BYTES, META_BYTES, META_OFFSETS, Meta, MetaSlot, NamedRoot, PAGE_SIZES,
    TREE_LIMIT, TREE_NAME_BYTES, looks_like_bbolt,
};

/// Length of a file that has just been created. Creation is over once this much is synced, so a file that
/// is no longer and holds nothing behind its meta pages has never been written to.
const FIRST_BYTES: u64 = 128 << 10;

pub(super) fn open(
    file: Arc<dyn PageFile>,
    specs: &'static [TreeSpec],
    options: &DbOptions,
) -> Result<Db, OpenError> {
    check_options(specs, options)?;
    if file.is_empty() || was_never_written(&*file, specs, options)? {
        create(&*file, specs, options)?;
    }
    let (meta, slot, whole) = choose(&*file, options)?;
    let needed = meta.high_water * u64::from(meta.page_size);
    if file.len() < needed {
        let what =
            format!("it has {} bytes, and its meta page speaks of {needed}: it has been cut", file.len());
        return Err(damaged(&*file, what));
    }
    let db = assemble(Arc::clone(&file), specs, options, *meta, slot)?;
    if !whole {
        let report = db.check();
        if let Some(fault) = report.faults.first() {
            let what =
                format!("its newest meta page is damaged, and so is what the older one leads to: {fault}");
            return Err(damaged(&*file, what));
        }
    }
    Ok(db)
}

fn damaged(file: &dyn PageFile, what: String) -> OpenError {
    OpenError::Damaged { file: file.name(), what }
}

fn check_options(specs: &[TreeSpec], options: &DbOptions) -> Result<(), OpenError> {
    let refuse = |what: String| Err(OpenError::Options { what });
    if !options.page_size.is_power_of_two() || !PAGE_SIZES.contains(&options.page_size) {
        return refuse(format!(
            "a page size of {} is not a power of two from 512 to 65536",
            options.page_size
        ));
    }
    if specs.len() > TREE_LIMIT {
        return refuse(format!(
            "{} trees are more than the {TREE_LIMIT} that fit into a meta page",
            specs.len()
        ));
    }
    for (i, spec) in specs.iter().enumerate() {
        if spec.name.is_empty() || spec.name.len() > TREE_NAME_BYTES {
            return refuse(format!("the tree name {:?} is not of 1 to {TREE_NAME_BYTES} bytes", spec.name));
        }
        if specs[..i].iter().any(|other| other.name == spec.name) {
            return refuse(format!("two trees have the name {:?}", spec.name));
        }
    }
    Ok(())
}

/// True for a file whose creation was broken off: it is as short as a new file, and each of its sectors is
/// blank or what creation puts there. Then it holds nothing, and creation begins again.
fn was_never_written(
    file: &dyn PageFile,
    specs: &[TreeSpec],
    options: &DbOptions,
) -> Result<bool, OpenError> {
    let len = file.len();
    if len > FIRST_BYTES || options.min_mark > 0 {
        return Ok(false);
    }
    let bytes = file.bytes(0, len as usize)?;
    let new = new_meta_pages(specs, options);
    let whole = META_OFFSETS.iter().any(|&at| {
        let page = bytes.get(at as usize..at as usize + META_BYTES);
        page.is_some_and(|page| matches!(Meta::decode(page), MetaSlot::Valid(_)))
    });
    let mut sectors = bytes.chunks(SECTOR_BYTES).enumerate();
    let blank_or_new = sectors.all(|(n, sector)| {
        let at = n * SECTOR_BYTES;
        sector.iter().all(|&b| b == 0) || new.get(at..at + sector.len()) == Some(sector)
    });
    // A whole meta page in a file that is shorter than a new one: the change of its length has not arrived.
    Ok(blank_or_new && (!whole || len < FIRST_BYTES))
}

/// Both meta pages of a file without entries, so that from the first checkpoint on there is always an older
/// one.
fn new_meta_pages(specs: &[TreeSpec], options: &DbOptions) -> Vec<u8> {
    let geometry = Geometry { size: options.page_size as usize };
    let empty = |spec: &TreeSpec| NamedRoot { name: spec.name.to_owned(), root: TreeRoot::default() };
    let mut meta = Meta {
        page_size: options.page_size,
        txn: 1,
        mark: 0,
        high_water: geometry.first_page(),
        free_pages: 0,
        free: TreeRoot::default(),
        trees: specs.iter().map(empty).collect(),
    };
    let newer = meta.encode();
    meta.txn = 0;
    [newer, meta.encode()].concat()
}

/// Writes a file without entries.
fn create(file: &dyn PageFile, specs: &[TreeSpec], options: &DbOptions) -> Result<(), OpenError> {
    file.set_len(FIRST_BYTES.max(options.page_size.into()))?;
    file.write_at(META_OFFSETS[0], &[&new_meta_pages(specs, options)])?;
    file.sync()?;
    Ok(())
}

/// The meta page to open, its place, and whether the other one is whole too.
fn choose(file: &dyn PageFile, options: &DbOptions) -> Result<(Box<Meta>, usize, bool), OpenError> {
    if file.len() < HEAD_BYTES as u64 {
        let what = format!("it has only {} bytes", file.len());
        return Err(OpenError::NotADatabase { file: file.name(), what });
    }
    let slots = [
        Meta::decode(file.bytes(META_OFFSETS[0], META_BYTES)?),
        Meta::decode(file.bytes(META_OFFSETS[1], META_BYTES)?),
    ];
    for slot in &slots {
        if let MetaSlot::Newer(found) = slot {
            return Err(OpenError::NewerFormat { file: file.name(), found: *found, known: FORMAT_VERSION });
        }
    }
    match slots {
        [MetaSlot::Valid(a), MetaSlot::Valid(b)] if a.txn > b.txn => Ok((a, 0, true)),
        [MetaSlot::Valid(_), MetaSlot::Valid(b)] => Ok((b, 1, true)),
        [MetaSlot::Valid(meta), other] => last_one(file, options, meta, 0, &other),
        [other, MetaSlot::Valid(meta)] => last_one(file, options, meta, 1, &other),
        [a, b] => Err(no_meta(file, &a, &b)),
    }
}

/// Decides whether the only readable meta page may be used.
fn last_one(
    file: &dyn PageFile,
    options: &DbOptions,
    meta: Box<Meta>,
    slot: usize,
    other: &MetaSlot,
) -> Result<(Box<Meta>, usize, bool), OpenError> {
    if meta.mark >= options.min_mark {
        return Ok((meta, slot, false));
    }
    let what = format!(
        "meta page {} cannot be read ({}), and the other one stands at mark {}, from where the log, which begins at mark {}, cannot be replayed",
        1 - slot,
        told(other),
        meta.mark,
        options.min_mark
    );
    Err(damaged(file, what))
}

fn told(slot: &MetaSlot) -> &str {
    match slot {
        MetaSlot::Damaged(what) => what,
        _ => "it does not begin with the magic number",
    }
}

fn no_meta(file: &dyn PageFile, a: &MetaSlot, b: &MetaSlot) -> OpenError {
    if file.bytes(0, META_BYTES).is_ok_and(looks_like_bbolt) {
        return OpenError::GoEtcd { file: file.name() };
    }
    if matches!((a, b), (MetaSlot::Foreign, MetaSlot::Foreign)) {
        let what = "neither meta page begins with the magic number".to_owned();
        return OpenError::NotADatabase { file: file.name(), what };
    }
    damaged(file, format!("both meta pages are damaged (0: {}; 1: {})", told(a), told(b)))
}

/// Builds the database from a meta page. Trees of the file that no spec names are kept as they are; specs
/// that the file does not know get new, empty trees.
fn assemble(
    file: Arc<dyn PageFile>,
    specs: &'static [TreeSpec],
    options: &DbOptions,
    meta: Meta,
    slot: usize,
) -> Result<Db, OpenError> {
    let mut trees = meta.trees;
    let mut places = Vec::with_capacity(specs.len());
    for spec in specs {
        let place = trees.iter().position(|tree| tree.name == spec.name).unwrap_or(trees.len());
        if place == trees.len() {
            trees.push(NamedRoot { name: spec.name.to_owned(), root: TreeRoot::default() });
        }
        places.push(place);
    }
    if trees.len() > TREE_LIMIT {
        let what =
            format!("with the new trees the file would have {} of them; {TREE_LIMIT} fit", trees.len());
        return Err(OpenError::Options { what });
    }
    if trees.iter().map(|t| t.root).chain([meta.free]).any(|root| root.depth as usize > DEPTH_LIMIT) {
        return Err(damaged(
            &*file,
            format!("its meta page speaks of a tree of more than {DEPTH_LIMIT} levels"),
        ));
    }
    let geometry = Geometry { size: meta.page_size as usize };
    let (names, roots): (Vec<String>, Vec<TreeRoot>) = trees.into_iter().map(|t| (t.name, t.root)).unzip();
    let limit_bytes = options.reserve_bytes.max(file.len());
    let checkpoint = Checkpoint { txn: meta.txn, mark: meta.mark };
    Ok(Db::from_parts(Parts {
        pages: Pages::new(file, geometry, limit_bytes, names.clone()),
        specs,
        places,
        names,
        root: Root { txn: meta.txn, mark: meta.mark, trees: roots },
        space: Space::new(geometry, meta.high_water, meta.free, meta.free_pages),
        durable: Durable { checkpoint, meta: slot, high_water: meta.high_water, under_way: None },
        limit_bytes,
    }))
}
