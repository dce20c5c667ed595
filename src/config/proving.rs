//! How a source's requests prove where they come from: its scheme, what it adds to that, and its
//! secrets.

use std::path::Path;

use http::StatusCode;
use http::uri::Uri;

use crate::fetch::Fetcher;
use crate::handover;
use crate::keys::Keys;
use crate::source::Reply;
use crate::verify::handshake::Handshakes;
use crate::verify::{Givens, Scheme, Spec, Verifier, Window};

use super::item::Item;
use super::notes::Shape;
use super::presets::{self, Preset};
use super::scheme::{self, Described};
use super::secrets;
use super::section::Section;
use super::with;

const SCHEME: &str = r#"name a preset, or describe one: kind = "hmac" or "none""#;
const SECRETS: &str = r#"secrets = [{ env = "NAME" }], with `file` or `value` as other places"#;

/// What a source's `scheme`, `with`, `fetch` and `secrets` come to.
#[derive(Default)]
pub(super) struct Proving {
    /// `None`: there is a mistake.
    pub verifier: Option<Verifier>,
    /// What it is made of.
    pub spec: Option<Spec>,
    pub public_url: Option<String>,
    /// What the sender insists on.
    pub reply: Option<Reply>,
    pub failure_status: Option<StatusCode>,
    pub handshakes: Handshakes,
    pub keys: Option<Keys>,
    pub confirm: bool,
    pub preset: Option<&'static Preset>,
}

/// `name` is the source's, `data` the folder in which secrets are kept that it hands over itself.
pub(super) fn read(source: &mut Section<'_>, name: &str, data: &Path) -> Proving {
    let public_url = source.optional("public_url", public_url);
    let found = source.required("scheme", SCHEME, |item| Some((described(item)?, item)));
    let secrets_at = source.item("secrets");
    let Some(((described, preset), scheme_at)) = found else {
        source.item("with").into_iter().for_each(Item::hide);
        source.item("fetch");
        secrets_at.and_then(|item| secrets::list(item, None));
        return Proving::default();
    };
    let Described { spec, handshakes, reply, failure_status } = described;
    let names = spec.names().chain(handshakes.iter().flat_map(|one| one.names()));
    let with = with::read(source, &names.collect::<Vec<_>>());
    let fetches = spec.fetches();
    let fetch = fetch(source, fetches);
    let givens = Givens {
        public_url,
        with: Some(&with),
        hosts: &fetch.hosts,
        has_secrets: secrets_at.is_some(),
    };
    let scheme = Scheme::new(&spec, &givens).inspect_err(|error| scheme::report(error, scheme_at));
    let filled: Result<Vec<_>, _> = handshakes.iter().map(|one| one.filled(&with)).collect();
    let filled = filled.inspect_err(|error| scheme::report(error, scheme_at));
    let handshakes = Handshakes(filled.unwrap_or_default().into_iter().flatten().collect());
    let kept = handshakes.hand_over().then(|| handover::path(data, name));
    Proving {
        verifier: verifier(source, scheme.ok(), secrets_at, kept.as_deref()),
        spec: Some(spec),
        public_url: public_url.map(str::to_owned),
        reply,
        failure_status: Some(failure_status),
        handshakes,
        keys: fetches.then_some(fetch.fetcher).flatten().map(Keys::new),
        confirm: with.one("confirm") == Some("true"),
        preset,
    }
}

/// The description, and the preset that it comes from.
fn described(item: Item<'_>) -> Option<(Described, Option<&'static Preset>)> {
    item.may_be(Shape::Table);
    if item.value().is_table() {
        return Some((scheme::read(item)?, None));
    }
    let preset = item.choice("preset", &presets::names().collect::<Vec<_>>(), presets::find)?;
    Some((preset.scheme.clone(), Some(preset)))
}

fn public_url(item: Item<'_>) -> Option<&str> {
    let what = r#"the URL that the sender posts to ("https://hooks.example.com/in/acme")"#;
    item.parsed(what, |text| {
        let url: Uri = text.parse().ok()?;
        let is_http = matches!(url.scheme_str(), Some("http" | "https"));
        (is_http && url.query().is_none() && !text.contains('#')).then_some(text)
    })
}

/// The secrets, bound to the scheme. Without the scheme they are looked up all the same, so that
/// their mistakes are found too. Without `secrets`, one may be `kept` that was handed over.
fn verifier(
    source: &Section<'_>,
    scheme: Option<Scheme>,
    secrets_at: Option<Item<'_>>,
    kept: Option<&Path>,
) -> Option<Verifier> {
    let verifier = match (secrets_at, kept) {
        (Some(item), _) => {
            let secrets = secrets::list(item, scheme.as_ref());
            Verifier::new(scheme?, secrets?)
        }
        (None, Some(path)) => {
            source.context.note_file(path);
            let scheme = scheme?;
            match std::fs::read_to_string(path) {
                Ok(text) => {
                    let secret = scheme.secret(&text, Window::default());
                    secret.map_err(Into::into).and_then(|one| Verifier::new(scheme, vec![one]))
                }
                Err(_) => Verifier::waiting(scheme),
            }
        }
        (None, None) => Verifier::new(scheme?, Vec::new()),
    };
    let report = |error: &_| match secrets_at {
        Some(item) => item.wrong(&format!("{error}"), SECRETS),
        None => source.wrong(&format!("{error}"), SECRETS),
    };
    verifier.inspect_err(report).ok()
}

/// How keys are fetched.
#[derive(Default)]
struct Fetch {
    hosts: Vec<String>,
    /// `None`: there is a mistake.
    fetcher: Option<Fetcher>,
}

fn fetch(source: &mut Section<'_>, fetches: bool) -> Fetch {
    if !fetches {
        if let Some(item) = source.item("fetch") {
            item.wrong("the scheme of this source fetches nothing", "remove `fetch`");
        }
        return Fetch::default();
    }
    source.table("fetch", |fetch| {
        let hosts = fetch.optional("hosts", Item::owned_texts).unwrap_or_default();
        let ca_at = fetch.item("ca");
        let ca = ca_at.and_then(Item::path);
        let private = fetch.optional("private", |item| {
            let networks = item.one_or_more().into_iter();
            networks.map(|item| item.parsed(NETWORK, |text| text.parse().ok())).collect()
        });
        let fetcher = Fetcher::new(ca.as_deref(), private.unwrap_or_default());
        let report = |error: &_| match ca_at {
            Some(item) => item.wrong(&format!("{error}"), ""),
            None => fetch.wrong(&format!("{error}"), ""),
        };
        Fetch { hosts, fetcher: fetcher.inspect_err(report).ok() }
    })
}

const NETWORK: &str = r#"a range of addresses ("10.0.0.0/8")"#;
