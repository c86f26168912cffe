//! Integration tests, in one binary so that they link quickly. They run the real program on the demo package, with a
//! real mosquitto (Debian package `mosquitto`), GDAL (`gdal-bin`), nginx (`nginx-light`) and real SQLite files.
//! `tests/check` installs what they need.

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
mod tls;
mod uploads;
mod web;
mod web_access;
mod web_work;
