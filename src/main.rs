//! The `crossfade` binary: parse, run, exit code.

mod signals;

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use crossfade::{Environment, Input, Stream, Streams, run};
use signals::Signals;

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
    let streams = Streams { stdout: stdout(), stderr: stderr(), stdin: stdin() };
    let environment = Environment::from_process();
    let exit_code = runtime.block_on(async {
        let mut signals = Signals::new();
        run(std::env::args_os(), &environment, streams, async || signals.next().await).await
    });
    ExitCode::from(exit_code)
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

/// Standard input, if a user can type there.
fn stdin() -> Option<Input> {
    std::io::stdin().is_terminal().then(|| Input::new(|| Box::pin(read_line())))
}

/// On a thread of its own, which the process does not wait for at its end.
async fn read_line() -> Option<String> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let line = std::io::stdin().lines().next().and_then(Result::ok);
        // The receiver is gone if the run has ended meanwhile.
        let _ = sender.send(line);
    });
    receiver.await.ok()?
}
