//! Metrics for Prometheus (text format 0.0.4).

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::device::status_of;
use crate::journal::EventClass;
use crate::web::problem::Problem;
use crate::web::state::ApiState;

pub async fn metrics(State(site): State<Arc<ApiState>>) -> Result<Response, Problem> {
    let text = site
        .look(|site, reader| {
            let status = status_of(site, reader)?;
            let waiting = reader.outbox_depth().map_err(Problem::fault)?.waiting;
            let (health, mut text) = (&status.health, String::new());
            let mut put = |name: &str, kind: &str, help: &str, value: f64| {
                let _ = writeln!(text, "# HELP bridgeclip_{name} {help}\n# TYPE bridgeclip_{name} {kind}");
                let _ = writeln!(text, "bridgeclip_{name} {value}");
            };
            put("captures", "gauge", "Classified photos in the database.", status.captures as f64);
            put("failed_files", "gauge", "Files that gave no result.", status.failed as f64);
            put("link_online", "gauge", "Whether a connection to the broker stands.", f64::from(site.link.is_online()));
            put("queue_events", "gauge", "Events that the broker has not acknowledged.", health.queue.depth as f64);
            put("queue_set_aside", "gauge", "Events that the broker refused for good.", health.queue.set_aside as f64);
            let age = health.queue.oldest_age_s.unwrap_or(0);
            put("queue_oldest_age_seconds", "gauge", "Age of the oldest waiting event.", age as f64);
            put("full", "gauge", "Whether photos are refused for want of room.", f64::from(health.full.is_some()));
            let losses = &health.losses;
            put("thumbnails_dropped_total", "counter", "Thumbnails that gave way.", losses.thumbnails_dropped as f64);
            put(
                "captures_forgotten_total",
                "counter",
                "Delivered captures that gave way.",
                losses.captures_forgotten as f64,
            );
            put("files_quarantined_total", "counter", "Damaged databases.", losses.files_quarantined as f64);
            if let Some(bytes) = health.device.disk_free_bytes {
                put("disk_free_bytes", "gauge", "Free on the drive with the data folder.", bytes as f64);
            }
            if let Some(celsius) = health.device.temperature_celsius {
                put("temperature_celsius", "gauge", "Of the hottest sensor.", f64::from(celsius));
            }
            let _ = writeln!(text, "# HELP bridgeclip_queue_class_events Waiting events by class.");
            let _ = writeln!(text, "# TYPE bridgeclip_queue_class_events gauge");
            for class in EventClass::ALL {
                let count = waiting[class as usize];
                let _ = writeln!(text, "bridgeclip_queue_class_events{{class=\"{}\"}} {count}", class.name());
            }
            Ok(text)
        })
        .await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}
