//! URLs that a sender may have called, where it signs the URL.

use http::HeaderMap;
use http::header::HOST;

/// Other URLs than the one that is configured, without a query.
pub(super) fn variants(configured: Option<&str>, headers: &HeaderMap, target: &str) -> Vec<String> {
    let path = target.split('?').next().unwrap_or_default();
    let mut urls = Vec::new();
    if let Some(url) = configured {
        urls.push(toggled(url));
        let swapped = match url.split_once("://") {
            Some(("https", rest)) => Some(format!("http://{rest}")),
            Some(("http", rest)) => Some(format!("https://{rest}")),
            _ => None,
        };
        urls.extend(swapped.iter().flat_map(|url| [url.clone(), toggled(url)]));
    }
    let hosts =
        headers.get(HOST).and_then(|host| host.to_str().ok()).into_iter().flat_map(|host| {
            let bare = host.rsplit_once(':').map_or(host, |(bare, _)| bare);
            let default = format!("{bare}:443");
            [host.to_owned(), bare.to_owned(), default]
        });
    for host in hosts {
        for scheme in ["https", "http"] {
            let url = format!("{scheme}://{host}{path}");
            urls.extend([toggled(&url), url]);
        }
    }
    urls.retain(|url| Some(url.as_str()) != configured);
    urls
}

/// With or without the slash at its end.
fn toggled(url: &str) -> String {
    url.strip_suffix('/').map_or_else(|| format!("{url}/"), str::to_owned)
}
