//! The `crossfade` binary: parse, run, exit code.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use crossfade::cli::Environment;
use crossfade::run::run;
use crossfade::streams::{Stream, Streams};

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        // Never the message: it might quote a value.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(std::io::stderr(), "crossfade stopped at {place}: this is a bug, please report it");
    }));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: crossfade cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let streams = Streams { stdout: stdout(), stderr: stderr() };
    let environment = Environment::from_process();
    ExitCode::from(runtime.block_on(run(std::env::args_os(), &environment, streams, stop_requested())))
}

/// The width of a terminal that does not report one.
const USUAL: usize = 80;

/// Standard output, and how wide its terminal is if it is one.
fn stdout() -> Stream {
    let stream = Stream::new(std::io::stdout());
    if !std::io::stdout().is_terminal() {
        return stream;
    }
    let columns = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    stream.on_terminal(columns.unwrap_or(USUAL))
}

/// Standard error, which may be a terminal too.
fn stderr() -> Stream {
    let stream = Stream::new(std::io::stderr());
    if std::io::stderr().is_terminal() { stream.on_terminal(USUAL) } else { stream }
}

/// Resolves when the process receives a stop signal: a cancelled job sends one, and
/// kills the process seconds later.
async fn stop_requested() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let (Ok(mut terminate), Ok(mut interrupt)) =
            (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
            }
        }
    }
    #[cfg(not(unix))]
    if tokio::signal::ctrl_c().await.is_ok() {
        return;
    }
    std::future::pending::<()>().await;
}
