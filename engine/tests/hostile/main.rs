//! Damage whose checksums are right: an error or an answer, never a panic and never a walk without end.
#![allow(clippy::unwrap_used, unreachable_pub)]

#[path = "../common/hostile.rs"]
mod hostile;
#[path = "../common/seal.rs"]
mod seal;

use proptest::prelude::*;

/// `HOLDFAST_LONG_TESTS=1` asks for twenty times as many.
fn cases(usual: u32) -> u32 {
    if std::env::var("HOLDFAST_LONG_TESTS").is_ok_and(|n| n != "0") { usual * 20 } else { usual }
}

/// A sound file is not changed by making its checksums right: the second reading of the format agrees with the first.
#[test]
fn sealing_a_sound_file_changes_nothing() {
    for file in hostile::sound_files() {
        let mut again = file.clone();
        seal::seal(&mut again, seal::newest_meta(file));
        assert!(again == *file);
    }
}

/// A stream that was asked to go on before its range; a put over a version that is newer than the current revision; a
/// row whose version before had a negative revision; one whose version before was older than its key.
#[test]
fn scripts_that_once_did_harm() {
    let scripts = [
        [109, 129, 13, 153, 148, 4],
        [41, 181, 156, 13, 10, 65],
        [69, 230, 36, 234, 234, 0],
        [5, 192, 191, 7, 1, 44],
    ];
    for change in scripts {
        hostile::run(&[&[1], &change[..]].concat());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(4000), max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn changed_pages_with_right_checksums(
        base in 0_u8..3,
        changes in prop::collection::vec(any::<[u8; hostile::CHANGE_BYTES]>(), 1..6),
    ) {
        let mut script = vec![base];
        script.extend(changes.iter().flatten());
        hostile::run(&script);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(300), ..ProptestConfig::default() })]

    #[test]
    fn any_small_file(mut bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
        bytes.insert(0, 3);
        hostile::run(&bytes);
    }
}

/// Writes what the fuzz targets begin with into the folder that `HOLDFAST_FUZZ_SEEDS` names.
#[test]
#[ignore = "writes files; for whoever fuzzes"]
fn seeds_for_the_fuzz_targets() {
    let folder =
        std::path::PathBuf::from(std::env::var("HOLDFAST_FUZZ_SEEDS").expect("HOLDFAST_FUZZ_SEEDS is set"));
    for target in ["page", "meta", "rows", "file"] {
        std::fs::create_dir_all(folder.join(target)).unwrap();
    }
    for (n, file) in hostile::sound_files().iter().enumerate() {
        for (page, bytes) in file.chunks(512).enumerate().filter(|(_, bytes)| matches!(bytes[0], 2 | 3)) {
            std::fs::write(folder.join(format!("page/{n}-{page}")), bytes).unwrap();
        }
        std::fs::write(folder.join(format!("meta/{n}")), &file[..4096]).unwrap();
        let used = file.iter().rposition(|&byte| byte != 0).unwrap() / 512 * 512 + 512;
        std::fs::write(folder.join(format!("file/raw-{n}")), [&[3], &file[..used]].concat()).unwrap();
        for change in 0..10 {
            std::fs::write(folder.join(format!("file/{n}-{change}")), [n as u8, 5, 0, 40, 0, change, 7])
                .unwrap();
        }
    }
}
