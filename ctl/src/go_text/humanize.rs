//! Byte counts with SI units: `999 B`, `1.5 kB`, `25 kB`, `2.1 GB`.

const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/// Writes a byte count with the largest SI unit that leaves at least one whole digit; one decimal below ten.
pub(crate) fn bytes(count: u64) -> String {
    if count < 10 {
        return format!("{count} B");
    }
    let mut unit = 0;
    let mut divisor = 1.0_f64;
    while unit + 1 < UNITS.len() && count as f64 >= divisor * 1000.0 {
        divisor *= 1000.0;
        unit += 1;
    }
    let value = (count as f64 / divisor * 10.0 + 0.5).floor() / 10.0;
    let decimals = usize::from(value < 10.0);
    format!("{value:.decimals$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal_below_ten() {
        for (count, text) in [
            (0, "0 B"),
            (9, "9 B"),
            (10, "10 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1500, "1.5 kB"),
            (20480, "20 kB"),
            (24576, "25 kB"),
            (2_147_483_648, "2.1 GB"),
            (12_345_678, "12 MB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
