//! Every example in a help text is a command line.

use super::*;

/// The words of a line as a shell would take them apart; of a pipe, the part that calls hookyard; without where
/// it writes to.
fn words(line: &str) -> Vec<String> {
    let line = line.rsplit(" | ").next().unwrap().split(" > ").next().unwrap();
    let mut words = Vec::new();
    for (n, part) in line.split('\'').enumerate() {
        if n % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn examples(help: &str) -> Vec<Vec<String>> {
    let lines = help.lines().filter(|line| line.starts_with("  ") && line.contains("hookyard "));
    lines.map(words).collect()
}

#[test]
fn every_verb_has_examples_and_each_parses_as_that_verb() {
    let cli = Cli::command();
    for verb in cli.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let help = verb.get_after_help().unwrap_or_else(|| panic!("{}", verb.get_name()));
        let examples = examples(&help.to_string());
        assert!(examples.len() > 1, "{}", verb.get_name());
        for example in examples {
            assert_eq!(example[..2], ["hookyard", verb.get_name()], "{example:?}");
            Cli::try_parse_from(&example).unwrap_or_else(|error| panic!("{example:?}: {error}"));
        }
    }
    for example in examples(EXAMPLES) {
        Cli::try_parse_from(&example).unwrap_or_else(|error| panic!("{example:?}: {error}"));
    }
}

#[test]
fn the_command_line_is_without_contradictions() {
    Cli::command().debug_assert();
}
