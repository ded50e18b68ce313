//! The commands that both servers are given. They build on each other: revisions in later lines count what came before.

/// One command, and what is special about it.
pub(crate) struct Step {
    /// Its arguments; `{word}` stands for something remembered.
    pub(crate) line: String,
    /// Its standard input.
    pub(crate) stdin: String,
    pub(crate) action: Action,
    pub(crate) mask: Mask,
    /// Further words after which numbers are masked.
    pub(crate) numbers_after: &'static [&'static str],
    /// Remembers the current revision under this name.
    pub(crate) remember: Option<&'static str>,
}

/// How a step is run.
pub(crate) enum Action {
    /// By the client, to its end.
    Command,
    /// By the client, until it has printed so many lines.
    Watch { lines: usize },
    /// By the offline tool.
    Offline,
    /// A lease with a given id, which the client cannot ask for.
    Grant { id: i64, ttl: i64 },
    /// An alarm, which the client cannot raise.
    RaiseAlarm { member: u64, alarm: i32 },
}

/// What is masked in a step's output.
pub(crate) enum Mask {
    /// Ids, addresses, terms, indexes, sizes and times.
    Usual,
    /// In addition the cells of `endpoint status`.
    Status,
    /// In addition the width of a table.
    Table,
}

impl Step {
    fn input(mut self, stdin: &str) -> Self {
        stdin.clone_into(&mut self.stdin);
        self
    }

    fn masked(mut self, mask: Mask) -> Self {
        self.mask = mask;
        self
    }

    fn numbers_after(mut self, words: &'static [&'static str]) -> Self {
        self.numbers_after = words;
        self
    }

    fn remember(mut self, name: &'static str) -> Self {
        self.remember = Some(name);
        self
    }
}

fn step(line: &str, action: Action) -> Step {
    let line = line.to_owned();
    Step { line, stdin: String::new(), action, mask: Mask::Usual, numbers_after: &[], remember: None }
}

fn run(line: &str) -> Step {
    step(line, Action::Command)
}

fn watch(line: &str, lines: usize) -> Step {
    step(line, Action::Watch { lines })
}

/// The whole script.
pub(crate) fn script() -> Vec<Step> {
    let mut script = Vec::new();
    script.extend(fresh());
    script.extend(puts());
    script.extend(gets());
    script.extend(deletes());
    script.extend(transactions());
    script.extend(leases());
    script.extend(watches());
    script.extend(limits());
    script.extend(maintenance());
    script.extend(compactions());
    script.extend(snapshot());
    script
}

fn fresh() -> Vec<Step> {
    vec![
        run("get '' --prefix -w json"),
        run("endpoint hashkv"),
        run("endpoint hashkv -w json"),
        run("lease list"),
        run("alarm list"),
        run("version"),
    ]
}

fn puts() -> Vec<Step> {
    vec![
        run("put a 1"),
        run("put a 2 --prev-kv"),
        run("put b 1 -w json"),
        run("put b 2 --prev-kv -w json"),
        run("put c 1 -w fields"),
        run("put c 2 --prev-kv -w fields"),
        run("put c 3 -w table"),
        run("put fresh 1 --prev-kv -w json"),
        run("put d").input("from standard input\n"),
        run("put e ''"),
        run("put 'a key with blanks' 'ключ и 値'"),
        run("put '' x"),
        run("put"),
        run("put missing --ignore-value"),
        run("put a --ignore-value"),
        run("put a x --ignore-value"),
        run("put missing x --ignore-lease"),
        run("put a 3 --ignore-lease"),
        run("put a x --lease=777"),
        run("put a x --lease=zz"),
        run("get a -w json"),
        run("put a 3 -w json"),
        run("get a -w json"),
    ]
}

fn gets() -> Vec<Step> {
    let mut steps = Vec::new();
    // Four keys with distinct versions, values, creation and change: no order among them is left open.
    for line in ["s1 w", "s2 z", "s2 y", "s3 q", "s3 r", "s3 x", "s4 1", "s4 2", "s4 3", "s4 v"] {
        steps.push(run(&format!("put {line}")));
    }
    for target in ["CREATE", "KEY", "MODIFY", "VALUE", "VERSION"] {
        for order in ["--order=ASCEND", "--order=DESCEND", ""] {
            steps.push(run(&format!("get s --prefix --sort-by={target} {order}")));
        }
        steps.push(run(&format!("get s --prefix --sort-by={target} --order=DESCEND --limit=2 -w json")));
        steps.push(run(&format!("get s --prefix --sort-by={target} --limit=2 -w json")));
    }
    let lines = [
        "get a",
        "get a --keys-only",
        "get a --print-value-only",
        "get a --hex",
        "get a -w fields",
        "get a -w table",
        "get missing",
        "get missing -w json",
        "get ''",
        "get '' --prefix",
        "get '' --from-key --limit=3 -w json",
        "get 'a key with blanks'",
        "get e -w json",
        "get e -w fields",
        "get a c",
        "get a c -w json",
        "get c a -w json",
        "get b --from-key --keys-only",
        "get s --prefix --limit=2 -w json",
        "get s --prefix --limit=4 -w json",
        "get s --prefix --limit=-1 -w json",
        "get s --prefix --keys-only --limit=1 -w json",
        "get s --prefix --count-only -w fields",
        "get s --prefix --count-only -w json",
        "get s --prefix --count-only --limit=2 -w json",
        "get s --prefix --count-only --rev=2 -w json",
        "get s --prefix --order=DESCEND",
        "get a --consistency=s -w json",
        "get a --consistency=x",
        "get a --rev=2 -w json",
        "get a --rev=3 -w json",
        "get a --rev=1 -w json",
        "get '' --prefix --rev=5 -w json",
        "get s --prefix --rev=20 --order=DESCEND --limit=2 -w json",
        "get a --rev=-5 -w json",
        "get a --rev=100000",
        "get a --order=bogus",
        "get a --sort-by=bogus",
        "get a --prefix --from-key",
    ];
    steps.extend(lines.map(run));
    steps
}

fn deletes() -> Vec<Step> {
    let mut steps = Vec::new();
    for line in ["d1 1", "d2 2", "d2 2b", "d3 3", "d4 4", "d5 5"] {
        steps.push(run(&format!("put {line}")));
    }
    let lines = [
        "del missing",
        "del missing -w json",
        "del ''",
        "del d1",
        "del d2 --prev-kv",
        "get d2 -w json",
        "put d2 again -w json",
        "get d2 -w json",
        "del d2 d4 --prev-kv -w json",
        "del d4 --prev-kv -w fields",
        "del d5 -w json",
        "del z a",
        "endpoint hashkv",
        "put zz1 1",
        "put zz2 2",
        "del zz --from-key --prev-kv",
        "put p1 1",
        "put p2 2",
        "del p --prefix",
        "del p --prefix",
        "endpoint hashkv",
    ];
    steps.extend(lines.map(run));
    steps
}

fn transactions() -> Vec<Step> {
    let txn = |stdin: &str| run("txn").input(stdin);
    let json = |stdin: &str| run("txn -w json").input(stdin);
    let many = |count: usize| (0..count).map(|n| format!("put many{n} {n}\n")).collect::<Vec<_>>().concat();
    vec![
        json("\n\n\n"),
        txn("value(\"a\") = \"3\"\n\nput t1 yes\nget t1\n\nput t1 no\n\n"),
        txn("value(\"a\") = \"4\"\n\nput t1 yes\n\nput t2 no\nget t1\nget t2\n\n"),
        json(
            "mod(\"a\") > \"0\"\nversion(\"missing\") = \"0\"\n\nget a\ndel t2\nput t3 \"with blanks\"\nget t3\n\n\n",
        ),
        json("create(\"missing\") = \"0\"\n\nput missing-before 1\n\n\n"),
        json("value(\"missing\") != \"x\"\n\nput wrong 1\n\nget a\n\n"),
        json("version(\"s4\") < \"4\"\n\nput wrong 1\n\nget s --prefix --keys-only\n\n"),
        run("txn -w fields").input("\nput t4 1\nget t4\ndel t4\n\n\n"),
        json("\ndel s --prefix --prev-kv\nput s1 back\nget s --prefix\n\n\n"),
        json("\nput \"bin\\x00\\xff\" \"\\x01\\x02\"\nget \"bin\" --prefix\n\n\n"),
        run("get bin --prefix -w json"),
        run("get bin --prefix --hex"),
        txn("\nput same 1\nput same 2\n\n\n"),
        txn("\nput same 1\ndel same\n\n\n"),
        txn("\nput same 1\ndel sa --prefix\n\n\n"),
        txn("\ndel same\ndel sa --prefix\n\nput same 1\n\n"),
        txn("\nput same 1\n\nput same 2\n\n"),
        txn("\nput x 1 --lease=777\n\n\n"),
        txn("\nput missing2 --ignore-value\n\n\n"),
        txn("\nget a --rev=100000\n\n\n"),
        txn("\nput '' x\n\n\n"),
        txn(&format!("\n{}\n\n", many(128))),
        txn(&format!("\n{}\n\n", many(129))),
        run("get many --prefix --count-only -w json"),
        txn("nonsense\n"),
        txn("mod(\"a\") = \"x\"\n\n\n\n"),
        run("endpoint hashkv"),
        run("get t --prefix -w json"),
    ]
}

fn leases() -> Vec<Step> {
    let grant = |id: i64, ttl: i64| step(&format!("(grant {id:x} {ttl})"), Action::Grant { id, ttl });
    vec![
        grant(0x1234, 600),
        grant(0x1234, 600),
        grant(0x5678, 9_000_000_000),
        grant(0x5679, 9_000_000_001),
        grant(0x70, 900),
        run("put leased1 1 --lease=1234"),
        run("put leased2 2 --lease=1234"),
        run("get leased --prefix -w json"),
        run("get leased --prefix -w fields"),
        run("get leased --prefix --keys-only -w json"),
        run("put leased1 again --ignore-lease -w json"),
        run("get leased1 -w json"),
        run("put leased2 detached"),
        run("lease timetolive 1234"),
        run("lease timetolive 1234 --keys"),
        run("lease timetolive 1234 --keys -w json"),
        run("lease timetolive 1234 --keys -w fields").numbers_after(&[r#""TTL" : "#]),
        run("lease timetolive 999"),
        run("lease timetolive 999 -w json"),
        run("lease list"),
        run("lease list -w json"),
        run("lease keep-alive 1234 --once"),
        run("lease keep-alive 1234 --once -w json"),
        run("lease keep-alive 999 --once"),
        run("put leased3 3 --lease=70"),
        run("put leased3 3 --lease=1234"),
        run("lease timetolive 70 --keys -w json"),
        run("lease revoke 1234"),
        run("lease revoke 1234"),
        run("lease revoke 0"),
        run("get leased --prefix -w json"),
        run("lease revoke 5678 -w json"),
        run("lease grant abc"),
        run("lease grant 9000000001"),
        run("lease grant 0").numbers_after(&["lease "]),
        run("lease grant 60 -w json").numbers_after(&[r#""ID":"#]),
        run("put 1"),
        run("endpoint hashkv"),
    ]
}

fn watches() -> Vec<Step> {
    vec![
        run("put w 1"),
        run("put w 2"),
        run("del w"),
        run("put w1 x"),
        run("txn").input("\nput w 3\nput w1 y\ndel fresh\nput w2 z\n\n\n"),
        watch("watch --rev=2 w", 12),
        watch("watch --rev=2 w --prefix", 21),
        watch("watch --rev=2 w --prefix --prev-kv", 27),
        watch("watch --rev=2 w --prefix --prev-kv -w json", 1),
        watch("watch --rev=2 w w2 -w fields", 46),
        watch("watch --rev=2 a -w json", 1),
        watch("watch --rev=2 '' --prefix -w json", 1),
        watch("watch --rev=2 leased --prefix --prev-kv", 34),
        watch("watch --rev=2 w -- sh -c 'echo revision $ETCD_WATCH_REVISION'", 16),
        run("watch --rev=2 b a"),
        run("watch"),
    ]
}

fn limits() -> Vec<Step> {
    let large = |bytes: usize| "v".repeat(bytes);
    vec![
        run("put large").input(&large(1_572_804)),
        run("put large").input(&large(1_572_864)),
        run("put large").input(&large(2_100_000)),
        run("get large --keys-only -w json"),
        run("del large --prev-kv -w json"),
        run("endpoint hashkv"),
        step("(alarm 1 NOSPACE)", Action::RaiseAlarm { member: 1, alarm: 1 }),
        run("alarm list"),
        run("alarm list -w json"),
        run("put full 1"),
        run("get a"),
        run("del w2"),
        run("lease grant 60"),
        run("txn").input("\nget a\n\nput full 1\n\n"),
        run("txn").input("\nget a\n\n\n"),
        run("endpoint health"),
        run("alarm disarm"),
        run("alarm list"),
        run("put full 1"),
    ]
}

fn maintenance() -> Vec<Step> {
    vec![
        run("endpoint health"),
        run("endpoint health -w json"),
        run("endpoint health -w fields"),
        run("endpoint health --cluster"),
        run("endpoint status").masked(Mask::Status),
        run("endpoint status -w json"),
        run("endpoint status -w fields"),
        run("endpoint status -w table").masked(Mask::Status),
        run("endpoint hashkv -w fields"),
        run("endpoint hashkv -w table").masked(Mask::Table),
        run("endpoint hashkv --rev=20"),
        run("endpoint hashkv --rev=2"),
        run("endpoint hashkv --rev=100000"),
        run("member list"),
        run("member list -w json"),
        run("member list -w fields"),
        run("member list -w table").masked(Mask::Table),
        run("defrag"),
        run("move-leader 1"),
        run("get a -w json"),
    ]
}

fn compactions() -> Vec<Step> {
    vec![
        run("compaction abc"),
        run("compaction 10"),
        run("compaction 10"),
        run("compaction 5"),
        run("compaction 100000"),
        run("endpoint hashkv"),
        run("endpoint hashkv -w json"),
        run("endpoint hashkv --rev=5"),
        run("endpoint hashkv --rev=10"),
        run("get a --rev=9"),
        run("get a --rev=10 -w json"),
        run("get '' --prefix --rev=10 -w json"),
        run("get '' --prefix --rev=12 -w json"),
        run("txn").input("\nget a --rev=9\n\n\n"),
        run("watch --rev=5 a"),
        watch("watch --rev=10 '' --prefix", 580),
        run("compaction 40 --physical"),
        run("endpoint hashkv"),
        run("get '' --prefix --rev=40 -w json"),
        run("get s --prefix --rev=45 -w json"),
        watch("watch --rev=41 '' --prefix -w json", 1),
        run("put gone 1"),
        run("put gone 2"),
        run("del gone").remember("deleted"),
        run("put gone-after 1").remember("last"),
        run("compaction {deleted} --physical"),
        watch("watch --rev={deleted} gone --prefix", 3),
        run("get gone --rev={deleted} -w json"),
        run("get '' --prefix --rev={deleted} -w json"),
        run("compaction {last} --physical"),
        run("get '' --prefix -w json"),
        run("endpoint hashkv"),
        run("endpoint hashkv -w json"),
        run("put after 1 -w json"),
        run("endpoint hashkv"),
    ]
}

fn snapshot() -> Vec<Step> {
    // Hash, number of keys and size of a snapshot count also what is the server's own; the revision does not.
    let own = &[r#""hash":"#, r#""totalKey":"#, r#""totalSize":"#];
    vec![
        run("snapshot save snapshot.db"),
        run("snapshot save"),
        step("snapshot status snapshot.db -w json", Action::Offline).numbers_after(own),
        step("snapshot status missing.db", Action::Offline),
        run("nosuchcommand"),
    ]
}
