//! Tables drawn with `+`, `-` and `|`: centred headings in capitals, cells aligned to the right.
//!
//! A cell wider than 30 columns is broken at its spaces, so that its lines come out as even as possible.

/// Cells wider than this are broken if they have spaces.
const MAX_CELL_WIDTH: usize = 30;

/// What a line that is too wide costs more than any unevenness; it happens only when one word is wider.
const TOO_WIDE: usize = 100_000;

/// Draws a table.
pub(crate) fn render(columns: &[&str], records: &[Vec<String>]) -> String {
    let headings: Vec<Vec<String>> = columns.iter().map(|name| wrap(&name.to_uppercase())).collect();
    let body: Vec<Vec<Vec<String>>> =
        records.iter().map(|record| record.iter().map(|cell| wrap(cell)).collect()).collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| {
            let cells = body.iter().map(|record| &record[column]).chain([&headings[column]]);
            cells.map(|lines| cell_width(lines)).max().unwrap_or(0)
        })
        .collect();

    let rule = rule(&widths);
    let mut out = rule.clone();
    draw(&mut out, &headings, &widths, centred);
    out.push_str(&rule);
    for record in &body {
        draw(&mut out, record, &widths, right_aligned);
    }
    if !body.is_empty() {
        out.push_str(&rule);
    }
    out
}

fn rule(widths: &[usize]) -> String {
    let dashes: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    format!("+{}+\n", dashes.join("+"))
}

fn draw(out: &mut String, cells: &[Vec<String>], widths: &[usize], align: fn(&str, usize) -> String) {
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    for line in 0..height {
        for (cell, width) in cells.iter().zip(widths) {
            let text = cell.get(line).map_or("", String::as_str);
            out.extend(["| ", &align(text, *width), " "]);
        }
        out.push_str("|\n");
    }
}

fn centred(text: &str, width: usize) -> String {
    let gap = width.saturating_sub(columns_of(text));
    format!("{}{text}{}", " ".repeat(gap / 2), " ".repeat(gap - gap / 2))
}

fn right_aligned(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(columns_of(text))))
}

/// A broken cell takes the full width even if all its lines are shorter.
fn cell_width(lines: &[String]) -> usize {
    let widest = lines.iter().map(|line| columns_of(line)).max().unwrap_or(0);
    if lines.len() > 1 { widest.max(MAX_CELL_WIDTH) } else { widest }
}

fn columns_of(text: &str) -> usize {
    text.chars().count()
}

/// Breaks a text into lines of at most [`MAX_CELL_WIDTH`] columns, or of its widest word if that is wider.
fn wrap(text: &str) -> Vec<String> {
    if columns_of(text) <= MAX_CELL_WIDTH {
        return vec![text.to_owned()];
    }
    let words: Vec<&str> = text.split([' ', '\n']).collect();
    let limit = words.iter().map(|word| columns_of(word)).max().unwrap_or(0).max(MAX_CELL_WIDTH);
    let ends = line_ends(&words, limit);
    let mut lines = Vec::new();
    let mut start = 0;
    while start < words.len() {
        lines.push(words[start..ends[start]].join(" "));
        start = ends[start];
    }
    lines
}

/// For each word, where the line ends that begins with it, so that the squares of the gaps at the ends of
/// lines sum up to the least (the method of Knuth and Plass, 1981, without their hyphens). The gap of the
/// last line costs nothing.
fn line_ends(words: &[&str], limit: usize) -> Vec<usize> {
    let count = words.len();
    let mut cost = vec![usize::MAX; count + 1];
    let mut end = vec![count; count];
    cost[count] = 0;
    for start in (0..count).rev() {
        let mut width = 0;
        for next in start + 1..=count {
            width += columns_of(words[next - 1]) + usize::from(next > start + 1);
            let line_cost = match limit.checked_sub(width) {
                Some(_) if next == count => 0,
                Some(gap) => gap * gap,
                None => (width - limit).pow(2) + TOO_WIDE,
            };
            let total = line_cost.saturating_add(cost[next]);
            if total < cost[start] || (next == count && line_cost == 0) {
                cost[start] = total;
                end[start] = next;
            }
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    /// The tables in these tests were printed by etcdctl 3.5.1.
    #[test]
    fn headings_are_centred_and_cells_are_right_aligned() {
        let table = render(
            &["endpoint", "health", "took", "error"],
            &[
                record(&["127.0.0.1:21379", "true", "1.783721ms", ""]),
                record(&["127.0.0.1:21999", "false", "5.002182651s", "context deadline exceeded"]),
            ],
        );
        assert_eq!(
            table,
            "\
+-----------------+--------+--------------+---------------------------+
|    ENDPOINT     | HEALTH |     TOOK     |           ERROR           |
+-----------------+--------+--------------+---------------------------+
| 127.0.0.1:21379 |   true |   1.783721ms |                           |
| 127.0.0.1:21999 |  false | 5.002182651s | context deadline exceeded |
+-----------------+--------+--------------+---------------------------+
"
        );
    }

    #[test]
    fn wide_cells_are_broken_at_spaces() {
        let table = render(
            &["ID", "errors"],
            &[record(&["808dc723e6d5c859", "memberID:9263278965581531225 alarm:NOSPACE "])],
        );
        assert_eq!(
            table,
            "\
+------------------+--------------------------------+
|        ID        |             ERRORS             |
+------------------+--------------------------------+
| 808dc723e6d5c859 |   memberID:9263278965581531225 |
|                  |                 alarm:NOSPACE  |
+------------------+--------------------------------+
"
        );
    }

    #[test]
    fn a_wide_word_stays_whole() {
        let word = "x".repeat(40);
        assert_eq!(wrap(&word), [word.as_str()]);
        assert_eq!(wrap(&format!("a {word} b c")), ["a", word.as_str(), "b c"]);
    }
}
