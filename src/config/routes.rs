//! The tables `[[routes]]`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use globset::Glob;

use crate::breaker;
use crate::condition::{Condition, FUNCTIONS, Mistake, VARIABLES};
use crate::delivery::{Backlog, Full, RetryPolicy};
use crate::event::EMITTED;
use crate::handler::Settings;
use crate::pointer::Pointer;
use crate::route::{EventGlobs, Mode, Route, To};

use super::context::Context;
use super::diagnostic::Diagnostic;
use super::forward::destination;
use super::item::Item;
use super::names;
use super::section::Section;
use super::server::Ceilings;
use super::setting::Setting;
use super::suggest::suggestion;

const MILLISECOND: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(86_400);

const TIMEOUT: Setting<Duration> =
    Setting::new("timeout", Duration::from_secs(5), MILLISECOND, DAY);
const ATTEMPTS: Setting<u32> = Setting::new("attempts", 20, 1, 1_000);
const FIRST: Setting<Duration> = Setting::new("first", Duration::from_secs(5), MILLISECOND, DAY);
const FACTOR: Setting<u32> = Setting::new("factor", 3, 1, 100);
const MAX: Setting<Duration> =
    Setting::new("max", Duration::from_secs(6 * 3_600), MILLISECOND, DAY.saturating_mul(30));
/// With 0 a route takes what places it finds.
const CONCURRENCY: Setting<u32> = Setting::new("concurrency", 0, 0, 10_000);
/// With 0 a route is never left alone.
const FAILURES: Setting<u32> = Setting::new("failures", 50, 0, 1_000_000);
const AFTER: Setting<Duration> = Setting::new("after", Duration::from_secs(60), MILLISECOND, DAY);
const TRIAL: Setting<Duration> = Setting::new("first", Duration::from_secs(5), MILLISECOND, DAY);
const TRIAL_MAX: Setting<Duration> =
    Setting::new("max", Duration::from_secs(300), MILLISECOND, DAY);
const EVENTS: Setting<u32> = Setting::new("events", 1_000_000, 1, 1_000_000_000);
const BYTES: Setting<u64> = Setting::new("bytes", 2 << 30, 1, 1 << 50);

/// What is known while routes are read.
pub(super) struct Routes<'a> {
    /// Every source in the file, also those with mistakes.
    sources: &'a [&'a str],
    ceilings: Ceilings,
    /// The names taken so far, and where.
    names: HashMap<String, Range<usize>>,
    /// Every handler that a route names, also those with mistakes.
    pub handlers: BTreeSet<String>,
    /// The handlers that routes name as sources, and where.
    emitters: Vec<(String, Range<usize>)>,
}

impl<'a> Routes<'a> {
    pub fn new(sources: &'a [&'a str], ceilings: Ceilings) -> Self {
        Self {
            sources,
            ceilings,
            names: HashMap::new(),
            handlers: BTreeSet::new(),
            emitters: Vec::new(),
        }
    }

    /// Reads all routes. Those with mistakes are missing in the result.
    pub fn read(&mut self, tables: Vec<Item<'_>>) -> Vec<Route> {
        let read = |table: Item<'_>| table.section("routes", |route| self.route(route));
        tables.into_iter().filter_map(read).collect()
    }

    fn route(&mut self, route: &mut Section<'_>) -> Option<Route> {
        let sources =
            route.required("source", r#"add source = "<name>""#, |item| self.sources(item));
        let to = to(route);
        self.handlers.extend(to.as_ref().and_then(To::handler).map(|name| name.to_string()));
        let event = match route.item("event") {
            Some(item) => globs(item),
            None => Some(EventGlobs::All),
        };
        let mode = match route.item("mode") {
            Some(item) => mode(item, to.as_ref()),
            None => Some(Mode::Async),
        };
        let emitted = |names: &Vec<String>| names.iter().any(|name| name.starts_with(EMITTED));
        if mode == Some(Mode::Sync) && sources.as_ref().is_some_and(emitted) {
            let message = "nobody waits for what a handler emits: a sync route takes none of it";
            let help = "make another route of it, without mode = \"sync\"";
            route.context.report(Diagnostic::warning(route.span.clone(), message, help));
        }
        let when = match route.item("when") {
            Some(item) => when(item).map(Some),
            None => Some(None),
        };
        let ceiling = self.ceilings.timeout;
        let timeout = route.duration(&TIMEOUT.under(ceiling, "server.ceilings.timeout"));
        let retry = retry(route);
        let order_by = order_by(route, mode.unwrap_or(Mode::Async));
        let concurrency = NonZeroUsize::new(route.count(&CONCURRENCY) as usize);
        let backlog = backlog(route);
        let breaker = breaker(route);
        let paused = route.optional("paused", Item::boolean).unwrap_or(false);
        let default = || Some(format!("{}/{}", sources.as_ref()?.join("+"), goal(to.as_ref()?)?));
        let name = self.name(route, default);
        Some(Route {
            name: name?.into(),
            sources: sources?.into_iter().map(Arc::from).collect(),
            mode: mode?,
            events: event?,
            when: when?,
            to: to?,
            timeout,
            retry,
            order_by: order_by?,
            concurrency,
            breaker,
            backlog,
            paused,
        })
    }

    fn name(
        &mut self,
        route: &mut Section<'_>,
        default: impl FnOnce() -> Option<String>,
    ) -> Option<String> {
        let (name, at) = match route.item("name") {
            Some(item) => (names::route(item)?, item.span()),
            None => (default()?, route.span.clone()),
        };
        if let Some(first) = self.names.get(&name) {
            let message = format!("two routes are named `{name}`");
            let help = "deliveries remember their route by name: give each its own `name`";
            let twice = Diagnostic::error(at, &message, help);
            route.context.report(twice.related(first.clone(), "the first"));
            return None;
        }
        self.names.insert(name.clone(), at);
        Some(name)
    }

    fn sources(&mut self, item: Item<'_>) -> Option<Vec<String>> {
        let items = item.one_or_more();
        if items.is_empty() {
            item.wrong("the route has no source", "name at least one");
            return None;
        }
        let sources: Vec<_> = items.iter().map(|item| self.source(*item)).collect();
        sources.into_iter().collect()
    }

    fn source(&mut self, item: Item<'_>) -> Option<String> {
        let name = item.text()?;
        if let Some(handler) = name.strip_prefix(EMITTED) {
            self.emitters.push((handler.to_owned(), item.span()));
            return Some(name.to_owned());
        }
        if self.sources.contains(&name) {
            return Some(name.to_owned());
        }
        let help = match self.sources {
            [] => format!("declare it: [sources.{name}]"),
            sources => suggestion(name, sources),
        };
        item.wrong(&format!("there is no source `{name}`"), &help);
        None
    }

    /// Checks the handlers that routes name as sources, once all handlers are known.
    pub fn check_emitters(&self, context: &Context<'_>, handlers: &BTreeMap<String, Settings>) {
        for (name, at) in &self.emitters {
            let Some(settings) = handlers.get(name) else {
                let names: Vec<&str> = handlers.keys().map(String::as_str).collect();
                let message = format!("there is no handler `{name}`");
                let help = suggestion(name, &names);
                context.report(Diagnostic::error(at.clone(), &message, &help));
                continue;
            };
            if settings.grants.emit.is_empty() {
                let message = format!("the handler `{name}` may not emit anything");
                let help = format!("in [handlers.{name}]: emit = [\"<event type>\"]");
                context.report(Diagnostic::warning(at.clone(), &message, &help));
            }
        }
    }
}

/// Where its events go: to a handler, to a URL, or what the one replies to the other.
fn to(route: &mut Section<'_>) -> Option<To> {
    let first = route.one_of(
        &["handler", "forward"],
        r#"add handler = "<file in plugins, without its ending>" or forward = "https://…""#,
    );
    let then = route.item("then");
    match (first?, then) {
        (("handler", item), None) => name(item).map(To::Handler),
        (("handler", item), Some(then)) => {
            let name = name(item);
            let there = then.section("then", |then| {
                let item = then.required("forward", r#"add forward = "https://…""#, Some);
                destination(item, then)
            });
            Some(To::Then(name?, there?.into()))
        }
        ((_, item), then) => {
            if let Some(then) = then {
                let help = "it forwards what a handler replies: name one with `handler`";
                then.wrong("`then` stands beside no handler", help);
            }
            Some(To::Forward(destination(Some(item), route)?.into()))
        }
    }
}

fn name(item: Item<'_>) -> Option<Arc<str>> {
    names::name(item, "handler").map(Arc::from)
}

/// What a route is named after that has no name.
fn goal(to: &To) -> Option<&str> {
    match to {
        To::Handler(name) | To::Then(name, _) => Some(name),
        To::Forward(there) => there.url.host(),
    }
}

/// Whether the sender waits. It can wait for a handler alone.
fn mode(item: Item<'_>, to: Option<&To>) -> Option<Mode> {
    let mode = item.choice("mode", &["async", "sync"], |name| match name {
        "async" => Some(Mode::Async),
        "sync" => Some(Mode::Sync),
        _ => None,
    })?;
    if mode == Mode::Sync && to.is_some_and(|to| to.destination().is_some()) {
        let help = "remove it: the sender is answered as soon as the event is durable";
        item.wrong("no sender waits for what is forwarded", help);
        return None;
    }
    Some(mode)
}

fn globs(item: Item<'_>) -> Option<EventGlobs> {
    let items = item.one_or_more();
    if items.is_empty() {
        item.wrong("the route matches no event", r#"give at least one glob; "*" matches all"#);
        return None;
    }
    let texts: Vec<_> = items.into_iter().map(glob).collect();
    let texts = texts.into_iter().collect::<Option<Vec<Glob>>>()?;
    let globs = EventGlobs::new(texts);
    if let Err(error) = &globs {
        item.wrong(&format!("the globs are too much together: {}", error.kind()), "give fewer");
    }
    globs.ok()
}

/// A glob that is well formed.
fn glob(item: Item<'_>) -> Option<Glob> {
    let text = item.parsed("a glob of event types", |text| (!text.is_empty()).then_some(text))?;
    let glob = EventGlobs::parse(text);
    if let Err(error) = &glob {
        let help = "`*` is any text, `?` one character, `[ab]` one of them, `{x,y}` either";
        item.wrong(&format!("`{text}` is no glob: {}", error.kind()), help);
    }
    glob.ok()
}

/// A condition that is well formed.
fn when(item: Item<'_>) -> Option<Condition> {
    let text = item.text()?;
    let condition = Condition::parse(text);
    if let Err(error) = &condition {
        let help = match &error.mistake {
            Mistake::Variable(name) => suggestion(name, VARIABLES),
            Mistake::Function(name) => suggestion(name, FUNCTIONS),
            Mistake::Nested => {
                "use one of `all`, `exists`, `exists_one`, `map` and `filter`".into()
            }
            Mistake::MatchesInMacro => "use `contains`, `startsWith` or `endsWith`".into(),
            Mistake::Syntax(_) => {
                r#"write it as in 'body.tenant == "acme" && has(body.id)'"#.into()
            }
            _ => String::new(),
        };
        item.wrong_in(error.at, &error.to_string(), &help);
    }
    condition.ok()
}

fn retry(route: &mut Section<'_>) -> RetryPolicy {
    route.table("retry", |retry| {
        let first = retry.duration(&FIRST);
        RetryPolicy {
            attempts: retry.count(&ATTEMPTS),
            first,
            factor: retry.count(&FACTOR).into(),
            max: retry.duration(&MAX.at_least(first)),
        }
    })
}

/// What keeps deliveries in order; the inner one is nothing where nothing does.
fn order_by(route: &mut Section<'_>, mode: Mode) -> Option<Option<Pointer>> {
    let Some(item) = route.item("order_by") else { return Some(None) };
    if mode == Mode::Sync {
        let help = "remove it, or say mode = \"async\": on a sync route each sender waits for its \
                    own event alone";
        item.wrong("`order_by` has no meaning on a sync route", help);
        return None;
    }
    item.pointer().map(Some)
}

fn breaker(route: &mut Section<'_>) -> breaker::Policy {
    route.table("breaker", |breaker| {
        let first = breaker.duration(&TRIAL);
        breaker::Policy {
            failures: NonZeroU32::new(breaker.count(&FAILURES)),
            after: breaker.duration(&AFTER),
            first,
            max: breaker.duration(&TRIAL_MAX.at_least(first)),
        }
    })
}

fn backlog(route: &mut Section<'_>) -> Backlog {
    route.table("backlog", |backlog| Backlog {
        events: backlog.count(&EVENTS).into(),
        bytes: backlog.size(&BYTES),
        full: backlog.optional("full", full).unwrap_or(Full::Refuse),
    })
}

fn full(item: Item<'_>) -> Option<Full> {
    item.choice("choice", &["refuse", "dead"], |name| match name {
        "refuse" => Some(Full::Refuse),
        "dead" => Some(Full::Dead),
        _ => None,
    })
}
