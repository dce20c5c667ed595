//! What the ledger does a second, held against a bare log on the same disk in the same run, and what
//! a backlog of a million changes. `cargo bench --bench ledger`; with `-- load` or `-- backlog NAME`
//! a part of it. Needs a quiet machine, and 3 GB in the folder for temporary files.

mod backlog;
mod bare_log;
mod events;
mod load;
mod process;

use std::path::Path;
use std::process::ExitCode;

use backlog::{BACKLOGS, Backlog, FILL, OPEN};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => {
            load::print();
            BACKLOGS.iter().for_each(backlog::print);
        }
        ["load"] => load::print(),
        ["backlog", name] => backlog::print(named(name)),
        [FILL, name, folder, count] => {
            backlog::fill(named(name), Path::new(folder), count.parse().expect("a number"));
        }
        [OPEN, _, folder] => backlog::open(Path::new(folder)),
        _ => {
            eprintln!("nothing, `load`, or `backlog NAME`");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn named(name: &str) -> &'static Backlog {
    BACKLOGS.iter().find(|it| it.name == name).expect("the name of a backlog")
}
