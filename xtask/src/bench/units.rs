//! Times, rates, sizes and ratios as people read them: three significant digits and a unit.

/// `1.32 ms`.
pub fn time(ns: f64) -> String {
    scaled(ns, &[(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")])
}

/// `3.05 GB/s`, powers of ten.
pub fn bytes_per_second(bytes: f64, ns: f64) -> String {
    rate(bytes * 1e9 / ns)
}

/// `3.05 GB/s`, from bytes per second.
pub fn rate(per_second: f64) -> String {
    scaled(per_second, &[(1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"), (1.0, "B/s")])
}

/// `711 /s`, `17.6 k/s`.
pub fn per_second(elements: f64, ns: f64) -> String {
    scaled(elements * 1e9 / ns, &[(1e6, "M/s"), (1e3, "k/s"), (1.0, "/s")])
}

/// `4 KiB`, powers of two; sizes are chosen, so they are exact.
pub fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes >= 1 << 20 && bytes % (1 << 20) == 0 => format!("{} MiB", bytes >> 20),
        bytes if bytes >= 1 << 10 && bytes % (1 << 10) == 0 => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} B"),
    }
}

/// `1 234 567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('\u{a0}');
        }
        grouped.push(digit);
    }
    grouped
}

/// `+2.1 %` over a floor or over an older run, `3.4×` where a percentage stops saying anything.
pub fn over(ratio: f64) -> String {
    if ratio >= 2.0 { format!("{}×", digits(ratio)) } else { format!("{:+.1} %", (ratio - 1.0) * 100.0) }
}

fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    // What would round to 1000 of a unit is 1 of the next.
    let fits = |scale: f64| value >= scale * 0.9995;
    let (scale, unit) =
        units.iter().copied().find(|(scale, _)| fits(*scale)).unwrap_or((1.0, units.last().map_or("", |unit| unit.1)));
    format!("{} {unit}", digits(value / scale))
}

/// Three significant digits, never fewer than the whole number has.
fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A label of an axis, whose values are round: `1 ms` and `0.5 ms`, not `1.00 ms`.
pub fn round(label: &str) -> String {
    let (number, unit) = label.split_once(' ').unwrap_or((label, ""));
    let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    if unit.is_empty() { number.to_owned() } else { format!("{number} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        let times = [0.5, 44.3, 999.4, 999.9, 1_321_000.0, 31_630_000.0, 2.5e9].map(time);
        assert_eq!(times, ["0.50 ns", "44.3 ns", "999 ns", "1.00 µs", "1.32 ms", "31.6 ms", "2.50 s"]);
        assert_eq!(bytes_per_second(4096.0, 1000.0), "4.10 GB/s");
        assert_eq!(per_second(1.0, 1.4e6), "714 /s");
        assert_eq!(per_second(256.0, 1.4e6), "183 k/s");
    }

    #[test]
    fn marks_have_no_trailing_zeros() {
        assert_eq!(
            ["1.00 ms", "10.0 GB/s", "100 µs", "1.50 s", "1.05", "1.00"].map(round),
            ["1 ms", "10 GB/s", "100 µs", "1.5 s", "1.05", "1"]
        );
    }

    #[test]
    fn long_numbers_are_grouped() {
        assert_eq!(
            [0, 12, 123, 1234, 1_234_567].map(thousands),
            ["0", "12", "123", "1\u{a0}234", "1\u{a0}234\u{a0}567"]
        );
    }

    #[test]
    fn sizes_are_exact() {
        assert_eq!(
            [0, 64, 4096, 5000, 1 << 20, 16 << 20].map(size),
            ["0 B", "64 B", "4 KiB", "5000 B", "1 MiB", "16 MiB"]
        );
    }

    #[test]
    fn a_ratio_reads_as_a_percentage_until_it_is_a_multiple() {
        assert_eq!([0.95, 1.0, 1.021, 1.999, 3.41].map(over), ["-5.0 %", "+0.0 %", "+2.1 %", "+99.9 %", "3.41×"]);
    }
}
