//! `hookyard replay --shadow`: what a candidate would have made of stored events.

use std::collections::{HashMap, HashSet};
use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use form_urlencoded::Serializer;
use tokio::runtime::Runtime;

use super::Args;
use super::difference::{Came, between};
use super::report::{Found, Report};
use crate::admin;
use crate::cli::answer::{Answer, Failed, say};
use crate::cli::{input, plugins};
use crate::config::{Config, Plugins};
use crate::delivery::State;
use crate::event::EventId;
use crate::handler::{Call, Handler, Settings};
use crate::ledger::{Descent, Filter, Match, ReadError, Reader};
use crate::outbox;
use crate::route::{Mode, Route, To};

/// How often it is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What is needed to call the candidate.
struct Shadow<'a> {
    reader: Arc<Reader>,
    routes: HashMap<Arc<str>, &'a Route>,
    plugins: Plugins,
    file: &'a Path,
    runtime: Runtime,
    /// The candidate in the place of each handler that it was called for.
    candidates: HashMap<Arc<str>, Handler>,
}

/// Calls the candidate with each delivery's event.
pub fn run(config: &Path, args: &Args, file: &Path) -> Result<Answer, Failed> {
    let (config, _) = input::config(config)?;
    let reader = Reader::beside(&config.server.data).map_err(|error| anyhow!(error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let mut shadow = Shadow {
        reader: Arc::new(reader),
        routes: config.routes.iter().map(|route| (route.name.clone(), route)).collect(),
        plugins: config.plugins(),
        file,
        runtime: runtime.context("cannot start")?,
        candidates: HashMap::new(),
    };
    let (matches, more) = shadow.matches(args)?;
    let descent = shadow.descent(&config, &matches)?;
    let mut report = Report::new(more);
    let mut told = Instant::now();
    for (n, one) in matches.iter().enumerate() {
        if stderr().is_terminal() && told.elapsed() > TELL_EVERY {
            told = Instant::now();
            say(&format!("{n} of {}: {} different", matches.len(), report.different()));
        }
        match shadow.compare(one, &descent)? {
            Some(found) => report.add(found),
            None => report.skip(),
        }
    }
    let is_good = !matches.is_empty();
    if args.json {
        Ok(Answer::json(&report.as_json(file), is_good))
    } else {
        Ok(Answer::new(report.shown(), is_good))
    }
}

impl Shadow<'_> {
    /// The deliveries that are asked for, and whether there are more. Those in no state that the
    /// user names are the dead and the done ones.
    fn matches(&self, args: &Args) -> Result<(Vec<Match>, bool)> {
        let mut query = Serializer::new(String::new());
        query.extend_pairs(args.filter.parameters());
        let filter = admin::filter(&query.finish()).map_err(|what| anyhow!(what))?;
        let states = match filter.state {
            None => vec![State::Dead, State::Done],
            Some(Some(state @ (State::Dead | State::Done))) => vec![state],
            Some(_) => {
                return Err(anyhow!("nothing happened to compare with: --state is dead or done"));
            }
        };
        let mut found = Vec::new();
        for state in states {
            let filter = Filter { state: Some(Some(state)), ..filter.clone() };
            let mut after = None;
            while found.len() <= args.limit {
                let step = self.reader.matching(&filter, args.id, after)?;
                found.extend(step.items);
                after = step.next;
                if after.is_none() {
                    break;
                }
            }
        }
        let more = found.len() > args.limit;
        found.truncate(args.limit);
        Ok((found, more))
    }

    /// What their handlers emitted; nothing where none of them may.
    fn descent(&self, config: &Config, matches: &[Match]) -> Result<Descent> {
        let emits = |settings: &Settings| !settings.grants.emit.is_empty();
        if !config.handlers.values().any(emits) {
            return Ok(Descent::default());
        }
        let parents: HashSet<EventId> = matches.iter().map(|one| one.event).collect();
        Ok(self.reader.descent(&parents)?)
    }

    /// What happened to a delivery, and what the candidate makes of it; `None` where there is
    /// nothing to compare.
    fn compare(&mut self, one: &Match, descent: &Descent) -> Result<Option<Found>, Failed> {
        let name = one.route.as_deref().unwrap_or_default();
        let Some(route) = self.routes.get(name).copied() else { return Ok(None) };
        // What is forwarded came to what others made of it.
        let To::Handler(handler) = &route.to else { return Ok(None) };
        let (row, event) = match self.reader.show(one.event) {
            Ok(shown) => shown,
            Err(ReadError::Missing) => return Ok(None),
            Err(error) => return Err(anyhow!(error).into()),
        };
        let Some(delivery) = row.deliveries.iter().find(|it| it.route == name) else {
            return Ok(None);
        };
        let last = delivery.attempts.last();
        let reply = match last.is_some_and(|last| last.outcome == "reply") {
            true => self.reader.sync_delivery(one.event, name).map_err(|error| anyhow!(error))?,
            false => None,
        };
        let children = descent.get(&(one.event, handler.to_string()));
        let emitted = children.into_iter().flatten().map(|seq| self.reader.emission(*seq));
        let happened = Came {
            outcome: last.map_or("none".into(), |last| last.outcome.clone().into()),
            error: last.and_then(|last| last.error.clone()),
            reply: reply.and_then(|delivery| delivery.reply),
            emitted: emitted.collect::<Result<_, _>>().map_err(|error| anyhow!(error))?,
        };
        let id = one.event.to_string();
        let call = Call {
            id: &id,
            event: &event,
            route: &route.name,
            attempt: last.map_or(1, |last| last.n),
            waits: route.mode == Mode::Sync,
            notes: None,
        };
        let candidate = self.call(handler, route.timeout, call)?;
        let (event, route) = (one.event, name.to_owned());
        let parts = between(&happened, &candidate);
        Ok(Some(Found { event, route, parts, happened, candidate }))
    }

    fn call(
        &mut self,
        handler: &Arc<str>,
        timeout: Duration,
        call: Call<'_>,
    ) -> Result<Came, Failed> {
        let state = self.reader.clone();
        if !self.candidates.contains_key(handler) {
            let loaded = plugins::candidate(&self.plugins, handler, self.file)?;
            self.candidates.insert(handler.clone(), loaded);
        }
        let candidate = self.candidates.get(handler).context("it was loaded")?;
        let called = self.runtime.block_on(candidate.call(call, state, timeout));
        let emitted = outbox::counting(called.effects, &called.outcome).emitted;
        Ok(Came::to(called.outcome, emitted))
    }
}
