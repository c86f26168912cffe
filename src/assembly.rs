//! Translates the settings into the parameters of each stage. A stage never sees the settings, and nothing else
//! translates them.

mod uplink;

pub use self::uplink::{command_key, endpoint, file_settings, login, tls, uplink};

use anyhow::Result;
use jiff::SignedDuration;

use crate::config::{self, Config, Decode, LimitsConfig, PackageConfig};
use crate::intake::{self, BurstParams};
use crate::journal::{self, DeviceIdentity, Reader};
use crate::kernels::Threads;
use crate::package::Package;
use crate::packages::{PackageSource, Store};
use crate::photo::{self, Decoding};
use crate::pipeline::{Answerer, Classifier, Limits};
use crate::web::{Room, SOCKET_NAME, UPLOADS_NAME};
use crate::{classify, collect, forms, learn, members, position, web};

fn megabytes(number: u32) -> u64 {
    u64::from(number) * 1_000_000
}

/// Returns where packages are on this device, and whose signatures are trusted.
pub fn package_source(config: &PackageConfig) -> PackageSource<'_> {
    PackageSource { dir: &config.dir, store: config.store.as_deref().map(Store::at), keys: &config.trusted_keys }
}

/// Returns the parameters of the journal.
pub fn journal(config: &Config) -> journal::Params {
    let storage = &config.storage;
    journal::Params {
        group_window: storage.group_ms.milliseconds(),
        tries_max: storage.tries_max.get(),
        quota_bytes: megabytes(storage.quota_megabytes.get()),
        keep_free_bytes: megabytes(storage.keep_free_megabytes.get()),
        reserve_bytes: megabytes(storage.reserve_megabytes.get()),
        metered: config.mqtt.as_ref().is_some_and(|mqtt| mqtt.metered),
    }
}

/// Returns which photos count as one burst.
pub fn bursts(config: &Config) -> BurstParams {
    BurstParams {
        similarity_min: config.intake.burst_similarity.get(),
        span_max: SignedDuration::from_secs(config.intake.burst_s.get().into()),
    }
}

/// Returns when members are answered.
pub fn members(config: &Config) -> members::Params {
    let config::Inspection { member_quiet_s, member_events, .. } = &config.inspection;
    members::Params { quiet: member_quiet_s.seconds(), tell: member_events.unwrap_or(true) }
}

/// Returns how photos are judged.
pub fn method(config: &Config) -> classify::Params {
    let config::Classify { method, rule, neighbours, .. } = config.classify;
    classify::Params { method, rule, neighbours: neighbours.get() as usize }
}

/// Returns which folders are watched, and how.
pub fn watch(config: &Config) -> intake::Params {
    let uploads = config.device.data_dir.join(UPLOADS_NAME);
    let sent = config.web.iter().map(|_| uploads.clone());
    intake::Params {
        roots: config.intake.folders.iter().cloned().chain(sent).collect(),
        rescan: config.intake.rescan_s.seconds(),
        settle: config.intake.settle_ms.milliseconds(),
        own: Some(config.device.data_dir.clone()),
        uploads: Some(uploads),
        once: false,
    }
}

/// Returns the limits on photos and the way they are decoded.
pub fn limits(config: &Config) -> Limits {
    Limits {
        bytes_max: megabytes(config.intake.photo_megabytes_max.get()),
        photo: photo::Limits {
            pixels_max: u64::from(config.intake.photo_megapixels_max.get()) * 1_000_000,
            memory_bytes_max: megabytes(config.photo.memory_megabytes_max.get()),
            coefficient_bytes_max: megabytes(config.photo.progressive_megabytes_max.get()),
            decoding: match config.photo.decode {
                Decode::Exact => Decoding::Exact,
                Decode::Scaled => Decoding::Scaled { short_side_min: config.photo.short_side_min.get() },
            },
        },
    }
}

/// Loads the classifier of photos.
pub fn classifier(config: &Config, package: &Package) -> Result<Classifier> {
    let threads = Threads::new(config.classify.threads.get() as usize)?;
    Ok(Classifier::load(package, limits(config), method(config), &threads)?)
}

/// Makes an answerer that judges stored embeddings as new photos are judged, with the photos that inspectors have rated
/// if the settings say so.
pub fn answerer(config: &Config, package: &Package, reader: &Reader) -> Result<Answerer> {
    let answerer = Answerer::load(package, method(config))?;
    if config.inspection.learn {
        learn::read(reader, package.embedding_space(), &answerer.rated)?;
    }
    Ok(answerer)
}

/// Returns the identity under which events are made.
pub fn identity(config: &Config, package: &Package, boot_id: &str) -> DeviceIdentity {
    let manifest = package.manifest();
    DeviceIdentity {
        source: config.topic_prefix(),
        boot_id: boot_id.to_owned(),
        package: format!("{} {}", manifest.name, manifest.version),
        package_hash: package.hash().to_string(),
        embedding_space: package.embedding_space(),
    }
}

/// Returns how moments and places are found.
pub fn locator(config: &Config) -> position::LocatorParams {
    position::LocatorParams {
        age_s_max: f64::from(config.position.fix_age_s_max.get()),
        zone: config.intake.camera_utc_offset.0,
    }
}

/// Returns the line of the receiver; `None` if there is none.
pub fn receiver(config: &Config) -> Option<position::LineParams> {
    let config::Position { device, protocol, baud, mavlink_system, .. } = &config.position;
    Some(position::LineParams {
        source: device.clone()?,
        protocol: *protocol,
        baud: baud.0,
        mavlink: position::mavlink::Params { system: mavlink_system.0 },
    })
}

/// Returns what the settings say about inspections.
pub fn forms(config: &Config) -> forms::Settings {
    let text = |name: &str, text: &Option<config::FormText>| {
        text.as_ref().map(|text| (name.to_owned(), forms::Fact::Text(text.0.clone())))
    };
    let number = |name: &str, number: &Option<config::FormNumber>| {
        number.map(|number| (name.to_owned(), forms::Fact::Number(number.0)))
    };
    let inspection = &config.inspection;
    let common = [
        text("inspector.name", &inspection.inspector),
        text("inspector.company", &inspection.company),
        text("bridge.manager", &inspection.manager),
        text("bridge.route", &inspection.route),
        inspection.date.map(|day| ("inspection.date".to_owned(), forms::Fact::Date(day.0))),
        text("inspection.next", &inspection.next),
    ];
    let bridges = inspection.bridge.iter().map(|bridge| {
        let facts = [
            text("bridge.name", &bridge.name),
            text("bridge.number", &bridge.number),
            text("bridge.manager", &bridge.manager),
            text("bridge.route", &bridge.route),
            text("bridge.location", &bridge.location),
            text("bridge.structure", &bridge.structure),
            number("bridge.length_m", &bridge.length_m),
            number("bridge.width_m", &bridge.width_m),
            number("bridge.spans", &bridge.spans),
            text("bridge.year", &bridge.year),
        ];
        (bridge.id.as_str().to_owned(), facts.into_iter().flatten().collect())
    });
    forms::Settings { common: common.into_iter().flatten().collect(), bridges: bridges.collect() }
}

/// Returns the limits on stored uploads.
pub fn uploads_room(config: &Config) -> Room {
    Room {
        dir: config.device.data_dir.join(UPLOADS_NAME),
        bytes_max: megabytes(config.storage.uploads_megabytes_max.get()),
        keep_free_bytes: megabytes(config.storage.keep_free_megabytes.get()),
    }
}

/// Returns the doors of the field page.
pub fn web(config: &Config) -> web::Params {
    let page = config.web.as_ref();
    web::Params {
        socket: config.device.data_dir.join(SOCKET_NAME),
        listen: page.and_then(|page| page.listen),
        listen_here: page.and_then(|page| page.listen_here),
        hosts: page.map(|page| page.hosts.clone()).unwrap_or_default(),
        trusted_proxies: page.map(|page| page.trusted_proxies.clone()).unwrap_or_default(),
        viewers_export: page.is_some_and(|page| page.viewers_export),
    }
}

/// Returns the time limits of the central database.
pub fn database_limits(limits: LimitsConfig) -> collect::Limits {
    collect::Limits {
        connect: limits.connect_s.seconds(),
        statement: limits.statement_s.seconds(),
        lock: limits.lock_s.seconds(),
        idle: limits.idle_s.seconds(),
        silence: limits.silence_s.seconds(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../deploy/config.toml");
    /// A settings file without any optional key.
    const SHORTEST: &str =
        "[device]\nsite = \"kita\"\nid = \"unit-1\"\ndata_dir = \"data\"\n[package]\ndir = \"package\"
                            [intake]\nfolders = []";

    #[test]
    fn the_defaults_of_the_settings_are_those_of_the_stages() {
        for text in [SHIPPED, SHORTEST] {
            let config = Config::parse(text).expect("settings");
            assert_eq!(method(&config), classify::Params::default());
            assert_eq!(journal(&config), journal::Params::default());
            assert_eq!(limits(&config), Limits::default());
        }
    }
}
