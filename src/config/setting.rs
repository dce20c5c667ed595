//! A number that has a name, a default and limits.

use std::time::Duration;

use super::item::Item;
use super::notes::Note;
use super::section::Section;
use super::units::{ShowDuration, ShowSize};

/// One key that holds a quantity: durations, sizes and rates in bytes, or plain counts.
pub(super) struct Setting<T> {
    key: &'static str,
    default: T,
    min: T,
    max: T,
    /// The key that lowers `max`, if one does.
    ceiling: Option<&'static str>,
}

impl<T: Copy + PartialOrd> Setting<T> {
    pub const fn new(key: &'static str, default: T, min: T, max: T) -> Self {
        Self { key, default, min, max, ceiling: None }
    }

    /// The same setting under a ceiling that the operator chose with `key`; the default gives way.
    pub fn under(&self, max: T, key: &'static str) -> Self {
        Self {
            default: if self.default > max { max } else { self.default },
            max,
            ceiling: Some(key),
            ..*self
        }
    }

    /// The same setting with another lower limit, which the default gives way to.
    pub fn at_least(&self, min: T) -> Self {
        Self { default: if self.default < min { min } else { self.default }, min, ..*self }
    }

    /// What a reader of the file's schema is told.
    fn note(&self, show: impl Fn(T) -> String) -> Note {
        let mut limits = format!("{} to {}", show(self.min), show(self.max));
        if let Some(ceiling) = self.ceiling {
            limits.push_str(&format!("; `{ceiling}` sets the maximum"));
        }
        Note::Quantity { key: self.key, default: show(self.default).into(), limits }
    }

    fn within(&self, item: Item<'_>, value: T, show: impl Fn(T) -> String) -> Option<T> {
        if value >= self.min && value <= self.max {
            return Some(value);
        }
        let side = if value < self.min { "less" } else { "more" };
        let message = format!("`{}` is {}, {side} than what is allowed", self.key, show(value));
        let mut help = format!("allowed: {} to {}", show(self.min), show(self.max));
        if let Some(ceiling) = self.ceiling {
            help.push_str(&format!("; `{ceiling}` sets the maximum"));
        }
        item.wrong(&message, &help);
        None
    }
}

impl Section<'_> {
    /// A duration, or the default.
    pub fn duration(&mut self, setting: &Setting<Duration>) -> Duration {
        let show = |value| ShowDuration(value).to_string();
        self.note(setting.note(show));
        self.optional(setting.key, |item| setting.within(item, item.duration()?, show))
            .unwrap_or(setting.default)
    }

    /// A number of bytes, or the default.
    pub fn size(&mut self, setting: &Setting<u64>) -> u64 {
        let show = |value| ShowSize(value).to_string();
        self.note(setting.note(show));
        self.optional(setting.key, |item| setting.within(item, item.size()?, show))
            .unwrap_or(setting.default)
    }

    /// Bytes a second, or the default.
    pub fn rate(&mut self, setting: &Setting<u64>) -> u64 {
        let show = |value| format!("{}/s", ShowSize(value));
        self.note(setting.note(show));
        self.optional(setting.key, |item| setting.within(item, item.rate()?, show))
            .unwrap_or(setting.default)
    }

    /// A whole number, or the default.
    pub fn count(&mut self, setting: &Setting<u32>) -> u32 {
        let show = |value: u32| value.to_string();
        self.note(setting.note(show));
        self.optional(setting.key, |item| setting.within(item, item.integer()?, show))
            .unwrap_or(setting.default)
    }
}
