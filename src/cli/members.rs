//! `bridgeclip members`: one answer for each member, joined from its photos.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use super::device::{DeviceArgs, reader};
use super::outcome::Outcome;
use super::{present, progress, stop};
use crate::assembly;
use crate::domain::{Category, CategoryVerdict, MemberAnswer, Position, ScoredClass, Sha256};
use crate::export::TagFilter;
use crate::journal::Reader;
use crate::members::{Answered, GroupLine, Groups, MemberLine, answer, likeness, members, unnamed};
use crate::packages;
use crate::pipeline::Answerer;
use anyhow::Result;

/// Answer for each member of a bridge what its photos show together, as official ratings belong to members.
///
/// A member is what a tag names (`bridgeclip tag`). Near-identical photos share one vote, an inspector's judgement of a
/// photo counts as certain, and no member is rated better than its worst judged photo. The answer names the photos that
/// carry the rating, and those without which it would be another one. The daemon may be running.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Only members of this bridge.
    #[arg(long, value_name = "ID")]
    bridge: Option<String>,
    /// Only members of this span.
    #[arg(long, value_name = "S")]
    span: Option<String>,
    /// Only this member.
    #[arg(long, value_name = "M")]
    member: Option<String>,
    /// Group the photos whose tag names no member instead: photos from one place that look more alike than the labelled
    /// photos do. A group may be a part of a member.
    #[arg(long, conflicts_with = "member")]
    unnamed: bool,
    /// One JSON object for each member and line.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let config = args.device.config()?;
    let package = packages::open_in_use(&assembly::package_source(&config.package))?;
    let reader = reader(&config)?;
    let answerer = assembly::answerer(&config, &package, &reader)?;
    let stop = stop::stop_flag()?;
    let place = TagFilter { bridge: args.bridge.clone(), span: args.span.clone(), member: args.member.clone() };
    if args.unnamed {
        return answer_unnamed(args, &reader, &answerer, package.embedding_space(), &place, &stop);
    }
    let found = members(&reader, |tag| place.fits(Some(tag)))?;
    let mut out = std::io::stdout().lock();
    if found.is_empty() && !args.json {
        writeln!(out, "no photo carries the name of such a member; name members with `bridgeclip tag --member M`")?;
    }
    for member in found {
        if stop.load(Ordering::Relaxed) {
            return Ok(Outcome::Stopped);
        }
        let answered = answer(&reader, &answerer, package.embedding_space(), member)?;
        match args.json {
            true => writeln!(out, "{}", serde_json::to_string(&MemberLine::of(&answered))?)?,
            false => {
                let Answered { of, of_other_encoders, answer } = &answered;
                write!(out, "{}", paragraph(&of.tag.to_string(), of.captures, *of_other_encoders, answer))?;
            }
        }
    }
    Ok(Outcome::Good)
}

fn answer_unnamed(
    args: &Args,
    reader: &Reader,
    answerer: &Answerer,
    space: Sha256,
    place: &TagFilter,
    stop: &AtomicBool,
) -> Result<Outcome> {
    let bar = progress::bar(reader.captures()? as usize, "captures");
    let pages = reader.result_pages().take_while(|_| !stop.load(Ordering::Relaxed));
    let alike = likeness(&answerer.reference)?;
    let found = unnamed(pages, space, alike, |tag| place.fits(Some(tag)), |looked_at| bar.inc(looked_at))?;
    bar.finish_and_clear();
    let mut out = std::io::stdout().lock();
    for group in &found.groups {
        if stop.load(Ordering::Relaxed) {
            return Ok(Outcome::Stopped);
        }
        let answer = group.answer(answerer)?;
        match args.json {
            true => writeln!(out, "{}", serde_json::to_string(&GroupLine::of(group, &answer))?)?,
            false => {
                let Position { latitude_deg, longitude_deg, .. } = group.place;
                let tag = if group.tag.is_empty() { String::new() } else { format!("{}, ", group.tag) };
                let heading = format!("{tag}no member named, at {latitude_deg:.6} {longitude_deg:.6}");
                write!(out, "{}", paragraph(&heading, group.results.len() as u64, 0, &answer))?;
            }
        }
    }
    if !args.json {
        let Groups { groups, unplaced, older } = &found;
        let older = if *older > 0 { format!(", {older} older ones not compared") } else { String::new() };
        writeln!(
            out,
            "{} groups of photos from one place with a cosine of {alike:.2} and more; {unplaced} photos have no position \
             that tells members apart{older}",
            groups.len()
        )?;
    }
    Ok(Outcome::Good)
}

fn paragraph(heading: &str, photos: u64, of_other_encoders: u64, answer: &MemberAnswer) -> String {
    let inspected = answer.photos.iter().filter(|photo| photo.inspected).count();
    let mut text = format!("{heading}\n");
    let mut line = |name: &str, content: String| {
        if !content.is_empty() {
            text += &format!("  {name:<16} {content}\n");
        }
    };
    for category in Category::ALL {
        let by_inspector = category == Category::Soundness && answer.rating_by_inspector;
        line(category.id(), classes(category, answer.get(category), by_inspector));
    }
    let single: Vec<&str> = answer.single_damage.names(Category::DamageType).collect();
    line("single photos", if single.is_empty() { String::new() } else { format!("show {} too", single.join(", ")) });
    if answer.worst_credible() != answer.rating() {
        let worst = answer.worst_credible().map(|index| Category::Soundness.class(index).en);
        line("not excluded", worst.map(|worst| format!("rating {worst}")).unwrap_or_default());
    }
    line("carried by", captures(answer.carriers().into_iter().map(|photo| photo.capture)));
    let decisive: Vec<i64> = answer.photos.iter().filter(|photo| photo.decisive).map(|photo| photo.capture).collect();
    if !decisive.is_empty() {
        line("would change", format!("without {}", captures(decisive.into_iter())));
    }
    let views = format!("{photos} captures, {:.1} different views, {inspected} judged by inspectors", answer.views());
    line("photos", views);
    if of_other_encoders > 0 {
        let count = of_other_encoders;
        line("left out", format!("{count} captures that another image encoder has seen; classify their photos again"));
    }
    text + &present::draft(&answer.draft)
}

fn classes(category: Category, answer: &CategoryVerdict, by_inspector: bool) -> String {
    let class = |scored: &ScoredClass| {
        let label = category.class(scored.index).en;
        match by_inspector {
            true => format!("{label} (an inspector's judgement)"),
            false => format!("{label} ({:.0} %)", scored.confidence * 100.0),
        }
    };
    let classes: Vec<String> = answer.classes.iter().map(class).collect();
    if classes.is_empty() { "?".to_owned() } else { classes.join(", ") }
}

fn captures(ids: impl Iterator<Item = i64>) -> String {
    let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
    match &ids[..] {
        [] => String::new(),
        [one] => format!("capture {one}"),
        several => format!("captures {}", several.join(", ")),
    }
}
