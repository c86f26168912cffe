//! The command line: one file for each subcommand. Errors are printed once, here.

mod api;
mod bench;
mod camera;
mod check;
mod classify;
mod collect;
mod command;
mod decode;
mod deliver;
mod demo;
mod device;
mod embed;
mod eval;
mod export;
mod form;
mod ingest;
mod inputs;
mod manual;
mod members;
mod method;
mod new_file;
mod npy;
mod outcome;
mod package;
mod package_args;
mod pair;
mod place;
mod present;
mod progress;
mod queue;
mod reading;
mod reclassify;
mod reference;
mod retry;
mod run;
mod search;
mod status;
mod stop;
mod suggest;
mod tag;
mod track;

use std::io;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use log::LevelFilter;

use self::outcome::{Outcome, with_causes};
use crate::config::ConfigError;

/// BridgeCLIP Edge: classifies bridge inspection photos on the device and forwards every result.
///
/// Exit codes: 0 all went well, 1 some input failed or something is missing, 2 wrong usage or settings, 130 stopped by
/// Ctrl-C.
/// RUST_LOG=debug shows more.
#[derive(Debug, Parser)]
#[command(name = "bridgeclip", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Status(status::Args),
    Ingest(ingest::Args),
    Retry(retry::Args),
    Tag(tag::Args),
    Pair(pair::Args),
    #[command(subcommand)]
    Camera(camera::Command),
    #[command(subcommand)]
    Track(track::Command),
    Place(place::Args),
    Demo(demo::Args),
    Classify(classify::Args),
    Embed(embed::Args),
    Search(search::Args),
    Suggest(suggest::Args),
    Members(members::Args),
    Export(export::Args),
    #[command(subcommand)]
    Form(form::Command),
    Deliver(deliver::Args),
    Reclassify(reclassify::Args),
    #[command(subcommand)]
    Eval(eval::Command),
    #[command(subcommand)]
    Reference(reference::Command),
    #[command(subcommand)]
    Package(package::Command),
    #[command(subcommand)]
    Queue(queue::Command),
    #[command(subcommand)]
    Command(command::Command),
    #[command(subcommand)]
    Collect(collect::Command),
    Bench(bench::Args),
    Check(check::Args),
    #[command(hide = true)]
    Man(manual::ManArgs),
    #[command(hide = true)]
    Completions(manual::CompletionsArgs),
}

/// Parses the command line, runs the command and turns its outcome into an exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging(match cli.command {
        Command::Run(_) | Command::Collect(_) => LevelFilter::Info,
        _ => LevelFilter::Error,
    });
    match dispatch(cli.command) {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::SomeFailed) => ExitCode::from(1),
        Ok(Outcome::Stopped) => ExitCode::from(130),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => match error.downcast::<clap::Error>() {
            // The arguments of a command contradict each other: exits like an error of the command line itself.
            Ok(usage) => usage.format(&mut Cli::command()).exit(),
            Err(error) => {
                eprintln!("bridgeclip: {}", with_causes(&error));
                ExitCode::from(if error.is::<ConfigError>() { 2 } else { 1 })
            }
        },
    }
}

/// Starts logging. The filter admits debug messages and the maximum level holds them back, so that a command over the
/// uplink can turn the log up later.
fn start_logging(level: LevelFilter) {
    // tract logs every rewrite of a graph, and the MQTT client every packet, unless RUST_LOG names them.
    env_logger::Builder::new()
        .filter_module("tract", LevelFilter::Error)
        .filter_module("rumqttc", LevelFilter::Info)
        .parse_env(env_logger::Env::default().default_filter_or("debug"))
        .init();
    if std::env::var_os(env_logger::DEFAULT_FILTER_ENV).is_none() {
        log::set_max_level(level);
    }
}

fn dispatch(command: Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Ingest(args) => ingest::run(&args),
        Command::Retry(args) => retry::run(&args),
        Command::Tag(args) => tag::run(&args),
        Command::Pair(args) => pair::run(&args),
        Command::Camera(command) => camera::run(&command),
        Command::Track(command) => track::run(&command),
        Command::Place(args) => place::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Classify(args) => classify::run(&args),
        Command::Embed(args) => embed::run(&args),
        Command::Search(args) => search::run(&args),
        Command::Suggest(args) => suggest::run(&args),
        Command::Members(args) => members::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Form(command) => form::run(&command),
        Command::Deliver(args) => deliver::run(&args),
        Command::Reclassify(args) => reclassify::run(&args),
        Command::Eval(command) => eval::run(&command),
        Command::Reference(command) => reference::run(&command),
        Command::Package(command) => package::run(&command),
        Command::Queue(command) => queue::run(&command),
        Command::Command(command) => command::run(&command),
        Command::Collect(command) => collect::run(&command),
        Command::Bench(args) => bench::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Man(args) => manual::man(&args, Cli::command()),
        Command::Completions(args) => manual::completions(&args, Cli::command()),
    }
}

/// Reports whether the reader of the output has gone away, as `| head` does.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
