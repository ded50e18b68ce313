//! The parent of the stores.

use clap::ValueEnum;

use super::super::options::{MvccOptions, word};
use super::super::run::{RunError, command_line};
use super::super::running::{Running, Start};
use super::phase::MvccPhase;
use super::table::{self, Figures};
use crate::common::guard::{self, Folder};
use crate::common::places::target;
use crate::common::{machine, readme};

/// Measures one store for each order of the load, and prints the table.
pub(crate) fn run(options: &MvccOptions) -> Result<(), RunError> {
    guard::watch_signals().map_err(|error| RunError::io("cannot watch for signals", error))?;
    let root = options.folder.clone().unwrap_or_else(|| target().join("engines-data"));
    let folder = Folder::new(&root).map_err(|error| RunError::io("cannot make a folder", error))?;
    let program = std::env::current_exe().map_err(|error| RunError::io("cannot find this program", error))?;
    let machine = machine::describe(folder.path());
    let mut figures = Figures::new();
    for order in &options.orders {
        let words = ["mvcc-store", "--order", &word(order), "--keys", &options.keys.to_string()];
        let arguments = words.map(str::to_owned).to_vec();
        let start = Start { title: "the store", program: program.clone(), arguments };
        let mut store = Running::start(start, folder.path())?;
        for phase in phases(options) {
            for _ in 0..if phase.only_reads() { options.passes.max(1) } else { 1 } {
                let cost = match phase {
                    MvccPhase::Reopen => store.reopen(),
                    phase => store.run(&word(&phase)),
                }?;
                let [wall, cpu] = [cost.wall_each(), cost.cpu_each()].map(|each| each * 1e6);
                eprintln!("  {}, {}: {wall:.3} µs, {cpu:.3} of CPU", word(order), phase.title());
                figures.entry((phase, *order)).or_default().push(cost);
            }
        }
    }
    let command = command_line(std::env::args().skip(1));
    let text = format!(
        "{machine} Command: `{command}`.\n\n{}",
        table::render(options.keys, &options.orders, &figures)
    );
    println!("{text}");
    if options.write_readme {
        readme::write("engines mvcc", &text)?;
    }
    Ok(())
}

fn phases(options: &MvccOptions) -> impl Iterator<Item = MvccPhase> {
    let asked = |phase: MvccPhase| options.phases.is_empty() || options.phases.contains(&phase);
    let all = MvccPhase::value_variants().iter().copied();
    all.filter(move |&phase| phase == MvccPhase::Load || asked(phase))
}
