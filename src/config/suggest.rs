//! What a name was probably meant to be.

/// What keys are called that hold secrets.
const SECRET_WORDS: &[&str] = &["secret", "token", "value"];

/// Whether a text is about secrets, going by its words.
pub(super) fn mentions_secret(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| text.contains(word))
}

/// The name that was probably meant, if one is near.
pub fn nearest<'a>(found: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |name: &&str| strsim::damerau_levenshtein(found, name);
    let nearest = names.into_iter().min_by_key(distance);
    // One slip in three letters: more is another word.
    nearest.filter(|name| distance(name) <= 1.max(found.chars().count() / 3))
}

/// The name that was probably meant, else all that there are.
pub(super) fn suggestion(found: &str, names: &[&str]) -> String {
    match nearest(found, names.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("allowed: `{}`", names.join("`, `")),
    }
}
