//! Integration tests, in one binary so that they link quickly. They run the real program on the demo package, with real
//! SQLite files and, where a test says `#[needs(...)]`, with a real mosquitto, PostgreSQL, nginx or GDAL. Tests whose
//! programs are not installed are ignored; `tests/check` installs everything and leaves nothing out.

mod support;

mod asyncapi;
mod boundaries;
mod broker_kill;
mod classifiers;
mod collect;
mod collect_poison;
mod collect_stops;
mod collect_tables;
mod command_line;
mod commands;
mod delivery;
mod demo_model;
mod documents;
mod drafts;
mod drain;
mod encoders;
mod evaluation;
mod export;
mod faults;
mod fitting;
mod intake;
mod journal;
mod journal_damage;
mod journal_faults;
mod journal_numbers;
mod members;
mod moods;
mod packages;
mod photo_memory;
mod photos;
mod poison;
mod position;
mod quantized;
mod queue;
mod reclassify;
mod reference;
mod refusals;
mod rounds;
mod service;
mod simulated;
mod state_files;
mod suggest;
mod tls;
mod uploads;
mod web;
mod web_access;
mod web_work;
