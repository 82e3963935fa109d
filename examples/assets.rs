//! Writes what a release carries besides the binary: shell completions, manual
//! pages and the JSON Schema of the configuration file.
//!
//! Files lie under `share/` where shells and `man` look for them, so that the archive
//! can be unpacked into a prefix such as `/usr/local`.
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
    let completions = [
        (Shell::Bash, "bash-completion/completions", "crossfade"),
        (Shell::Elvish, "elvish/lib", "crossfade.elv"),
        (Shell::Fish, "fish/vendor_completions.d", "crossfade.fish"),
        (Shell::PowerShell, "powershell", "_crossfade.ps1"),
        (Shell::Zsh, "zsh/site-functions", "_crossfade"),
    ];
    let share = folder.join("share");
    for (shell, place, name) in completions {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut crossfade::command(), "crossfade", &mut script);
        fs::create_dir_all(share.join(place))?;
        fs::write(share.join(place).join(name), script)?;
    }
    let pages = share.join("man/man1");
    fs::create_dir_all(&pages)?;
    clap_mangen::generate_to(crossfade::command(), &pages)?;
    fs::write(folder.join("crossfade.schema.json"), crossfade::SCHEMA)
}
