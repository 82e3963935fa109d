//! Writes what a release carries besides the binary: shell completions, manual
//! pages and the JSON Schema of the configuration file.
//!
//! `cargo run --example assets -- FOLDER`

#![allow(clippy::print_stderr)]

use std::path::Path;
use std::process::ExitCode;
use std::{fs, io};

use clap_complete::Shell;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(folder), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: assets FOLDER");
        return ExitCode::from(2);
    };
    match write(Path::new(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path) -> io::Result<()> {
    let (completions, pages) = (folder.join("completions"), folder.join("man"));
    fs::create_dir_all(&completions)?;
    fs::create_dir_all(&pages)?;
    for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut crossfade::cli::command(), "crossfade", &completions)?;
    }
    clap_mangen::generate_to(crossfade::cli::command(), &pages)?;
    fs::write(folder.join("crossfade.schema.json"), crossfade::config::schema_text())
}
