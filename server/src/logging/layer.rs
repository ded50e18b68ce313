//! The `tracing` layer that makes a line of each event.

use std::fmt::Debug;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::config::{Format, Level};
use super::json;
use super::line::{self, Parts};
use super::sampler::Sampler;

/// Where a finished line goes.
pub(super) type Sink = Box<dyn Fn(Vec<u8>) + Send + Sync>;

/// See the module.
pub(super) struct ZapLayer {
    format: Format,
    level: Level,
    sampler: Sampler,
    sink: Sink,
}

impl ZapLayer {
    pub(super) fn new(format: Format, level: Level, sink: Sink) -> Self {
        Self { format, level, sampler: Sampler::new(), sink }
    }
}

fn level_of(metadata: &Metadata<'_>) -> Level {
    match *metadata.level() {
        tracing::Level::TRACE | tracing::Level::DEBUG => Level::Debug,
        tracing::Level::INFO => Level::Info,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::ERROR => Level::Error,
    }
}

impl<S: Subscriber> Layer<S> for ZapLayer {
    /// Libraries log their own inner life (h2 every frame); of that only warnings are for operators.
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let level = level_of(metadata);
        // An event at error may turn out to be fatal.
        let wanted = level >= self.level || level == Level::Error;
        wanted && (metadata.target().starts_with("holdfast") || level >= Level::Warn)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.level {
            Level::Debug => LevelFilter::DEBUG,
            Level::Info => LevelFilter::INFO,
            Level::Warn => LevelFilter::WARN,
            _ => LevelFilter::ERROR,
        })
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = fields.severity.unwrap_or_else(|| level_of(event.metadata()));
        if level < self.level || !self.sampler.admits(level, &fields.message) {
            return;
        }
        let caller = fields.caller.unwrap_or_else(|| {
            line::short_caller(
                event.metadata().file().unwrap_or_default(),
                event.metadata().line().unwrap_or(0),
            )
        });
        let parts =
            Parts { logger: &fields.logger, caller: &caller, message: &fields.message, fields: &fields.json };
        (self.sink)(line::render(self.format, level, &parts));
    }
}

/// Collects an event's fields: the ones that the layer knows by name, and the rest as JSON in the order given.
#[derive(Default)]
struct Fields {
    message: String,
    logger: String,
    caller: Option<String>,
    severity: Option<Level>,
    json: Vec<u8>,
}

impl Fields {
    /// Takes a field that has a place of its own in the line; tells whether it was one.
    fn take(&mut self, name: &str, value: &str) -> bool {
        match name {
            "message" => value.clone_into(&mut self.message),
            "logger" => value.clone_into(&mut self.logger),
            "caller" => self.caller = Some(value.to_owned()),
            "severity" => self.severity = Level::parse(value),
            _ => return false,
        }
        true
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let (text, is_json) = json::format(value);
        if is_json && field.name() == "kv" {
            // The pairs of another logger: an object whose members become fields of the line.
            let inside = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
            if !inside.is_empty() {
                if !self.json.is_empty() {
                    self.json.push(b',');
                }
                self.json.extend_from_slice(inside.as_bytes());
            }
        } else if is_json {
            line::field(&mut self.json, field.name(), &text);
        } else if !self.take(field.name(), &text) {
            line::text_field(&mut self.json, field.name(), &text);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if !self.take(field.name(), value) {
            line::text_field(&mut self.json, field.name(), value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        line::field(&mut self.json, field.name(), &value.to_string());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        line::field(&mut self.json, field.name(), &value.to_string());
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        line::field(&mut self.json, field.name(), &value.to_string());
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        line::field(&mut self.json, field.name(), &value.to_string());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        line::field(&mut self.json, field.name(), if value { "true" } else { "false" });
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            line::field(&mut self.json, field.name(), &value.to_string());
        } else {
            line::text_field(&mut self.json, field.name(), &value.to_string());
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        line::text_field(&mut self.json, field.name(), &value.to_string());
    }
}
