//! Columns for people.

/// Rows with their cells under one another, the last as long as it is.
pub fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let line = |row: &[String; N]| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max();
            pad(cell, width.unwrap_or(0))
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// The text with spaces to that width.
pub fn pad(text: &str, width: usize) -> String {
    format!("{text:width$}")
}

/// The text, or its beginning and `…` where it is wider.
pub fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Characters: terminals show most of them as wide as one another.
fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_under_one_another() {
        let rows = [["a", "ü", "end"], ["long", "b", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(columns(&rows), "a     ü  end\nlong  b\n");
    }

    #[test]
    fn what_is_too_wide_is_cut() {
        assert_eq!((cut("äöü", 3), cut("äöüx", 3)), ("äöü".to_owned(), "äö…".to_owned()));
    }
}
