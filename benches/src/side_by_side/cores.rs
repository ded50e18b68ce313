//! Which core runs what.
//!
//! A child inherits the cores of the thread that starts it, so that thread moves itself to the core wanted just
//! before: no helper program stands between us and the server's process id, and a server sees one core from its
//! first instruction on, by which runtimes choose their number of threads.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::{options::Options, run::HarnessError};

/// The cores of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cores {
    /// Runs the server.
    pub(crate) server: usize,
    /// Runs the generator.
    pub(crate) generator: usize,
}

impl Cores {
    /// The cores asked for, or the first two that this process may use.
    pub(crate) fn choose(options: &Options) -> Result<Self, HarnessError> {
        let allowed = sched_getaffinity(None).map_err(|error| HarnessError::Cores(error.to_string()))?;
        let usable: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core)).collect();
        Self::from_usable(&usable, options.server_core, options.generator_core)
    }

    fn from_usable(
        usable: &[usize],
        server: Option<usize>,
        generator: Option<usize>,
    ) -> Result<Self, HarnessError> {
        let fail = |text: String| Err(HarnessError::Cores(text));
        for core in [server, generator].into_iter().flatten() {
            if !usable.contains(&core) {
                return fail(format!("core {core} is not one of those that may be used: {usable:?}"));
            }
        }
        let Some(server) = server.or_else(|| usable.iter().copied().find(|&core| Some(core) != generator))
        else {
            return fail("no core may be used".to_owned());
        };
        let generator = generator.or_else(|| usable.iter().copied().find(|&core| core != server));
        match generator {
            Some(generator) if generator != server => Ok(Self { server, generator }),
            _ => fail("two cores are needed, one for the server and one for the generator".to_owned()),
        }
    }
}

/// Moves this thread, and what it starts from now on, to `core`.
pub(crate) fn move_to(core: usize) -> Result<(), HarnessError> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set)
        .map_err(|error| HarnessError::Cores(format!("cannot move to core {core}: {error}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn two_different_cores_are_chosen() {
        let choose = |usable: &[usize], server, generator| Cores::from_usable(usable, server, generator).ok();
        assert_eq!(choose(&[0, 1], None, None), Some(Cores { server: 0, generator: 1 }));
        assert_eq!(choose(&[2, 5, 7], Some(5), None), Some(Cores { server: 5, generator: 2 }));
        assert_eq!(choose(&[0, 1], None, Some(0)), Some(Cores { server: 1, generator: 0 }));
        for (usable, server, generator) in
            [(&[][..], None, None), (&[0], None, None), (&[0, 1], Some(3), None), (&[0, 1], Some(1), Some(1))]
        {
            assert_eq!(choose(usable, server, generator), None);
        }
    }
}
