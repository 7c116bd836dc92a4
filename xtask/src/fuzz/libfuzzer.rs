//! What libFuzzer says on standard error, read back into numbers.

/// What a run did. A number that the output does not name stays zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    pub executions: u64,
    pub per_second: u64,
    /// Coverage: edges reached, of those compiled in.
    pub edges: u64,
    pub all_edges: u64,
    pub features: u64,
    pub corpus: u64,
    pub peak_rss_mib: u64,
    /// Files with the inputs that crashed, hung or ate the memory.
    pub artifacts: Vec<String>,
    /// libFuzzer's or the sanitizer's one-line account of the crash.
    pub verdict: Option<String>,
    /// The file at work when the program ended, in a replay.
    pub last_replayed: Option<String>,
    pub replayed: u64,
}

impl Findings {
    /// Reads a whole log.
    pub fn read(log: &str) -> Self {
        let mut findings = Self::default();
        log.lines().for_each(|line| findings.line(line));
        findings
    }

    fn line(&mut self, line: &str) {
        if let Some(file) = line.strip_prefix("Running: ") {
            self.last_replayed = Some(file.to_owned());
        } else if line.starts_with("Executed ") {
            self.replayed += 1;
        } else if let Some(summary) = line.strip_prefix("SUMMARY: ") {
            self.verdict = Some(summary.to_owned());
        } else if let Some((_, artifact)) = line.split_once("Test unit written to ") {
            self.artifacts.push(artifact.trim().to_owned());
        } else if line.starts_with("INFO: Loaded ") && line.contains("inline 8-bit counters") {
            let counters = line.split_once('(').and_then(|(_, rest)| number(rest));
            self.all_edges = counters.unwrap_or(self.all_edges);
        } else if let Some(stat) = line.strip_prefix("stat::") {
            self.stat(stat);
        } else if line.starts_with('#') {
            self.progress(line);
        }
    }

    fn stat(&mut self, stat: &str) {
        let Some((name, value)) = stat.split_once(':') else { return };
        let Some(value) = number(value) else { return };
        match name {
            "number_of_executed_units" => self.executions = value,
            "average_exec_per_sec" => self.per_second = value,
            "peak_rss_mb" => self.peak_rss_mib = value,
            _ => {}
        }
    }

    /// `#2097152 pulse  cov: 12 ft: 13 corp: 1/1b lim: 4096 exec/s: 699050 rss: 400Mb`
    fn progress(&mut self, line: &str) {
        let after = |name: &str| line.split_once(name).and_then(|(_, rest)| number(rest));
        // A crash ends the run before the final statistics: what was last heard stands.
        self.executions = self.executions.max(number(line.trim_start_matches('#')).unwrap_or_default());
        self.edges = after(" cov: ").unwrap_or(self.edges);
        self.features = after(" ft: ").unwrap_or(self.features);
        self.corpus = after(" corp: ").unwrap_or(self.corpus);
        self.per_second = after(" exec/s: ").unwrap_or(self.per_second);
    }
}

/// The number that a text begins with, after blanks.
fn number(text: &str) -> Option<u64> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: &str = "\
INFO: Running with entropic power schedule (0xFF, 100).
INFO: Seed: 3918206239
INFO: Loaded 1 modules   (30521 inline 8-bit counters): 30521 [0x55d7, 0x55d8),
INFO: Loaded 1 PC tables (30521 PCs): 30521 [0x55d8,0x55d9),
INFO:       12 files found in corpus
INFO: seed corpus: files: 12 min: 1b max: 64b total: 300b rss: 41Mb
#13	INITED cov: 318 ft: 402 corp: 12/300b exec/s: 0 rss: 43Mb
#1024	NEW    cov: 325 ft: 410 corp: 13/310b lim: 68 exec/s: 0 rss: 44Mb L: 10/64 MS: 1 ChangeByte-
#524288	pulse  cov: 340 ft: 444 corp: 20/400b lim: 4096 exec/s: 262144 rss: 61Mb
#812345	DONE   cov: 341 ft: 450 corp: 21/410b lim: 4096 exec/s: 270781 rss: 70Mb
###### Recommended dictionary. ######
\"ssh-\" # Uses: 12
Done 812345 runs in 3 second(s)
stat::number_of_executed_units: 812345
stat::average_exec_per_sec:     270781
stat::new_units_added:          21
stat::slowest_unit_time_sec:    0
stat::peak_rss_mb:              70
";

    const CRASH: &str = "\
INFO: Loaded 1 modules   (30521 inline 8-bit counters): 30521 [0x55d7, 0x55d8),
#13	INITED cov: 318 ft: 402 corp: 12/300b exec/s: 0 rss: 43Mb
#4096	REDUCE cov: 330 ft: 420 corp: 14/310b lim: 68 exec/s: 4096 rss: 44Mb L: 10/64 MS: 1 EraseBytes-
thread '<unnamed>' panicked at fuzz_targets/payload.rs:9:5:
==4242== ERROR: libFuzzer: deadly signal
SUMMARY: libFuzzer: deadly signal
artifact_prefix='fuzz/artifacts/payload/'; Test unit written to fuzz/artifacts/payload/crash-0eb8e4ed
Base64: Y3Jhc2g=
";

    #[test]
    fn a_clean_run() {
        let expected = Findings {
            executions: 812_345,
            per_second: 270_781,
            edges: 341,
            all_edges: 30_521,
            features: 450,
            corpus: 21,
            peak_rss_mib: 70,
            ..Findings::default()
        };
        assert_eq!(Findings::read(CLEAN), expected);
    }

    #[test]
    fn a_crash_keeps_what_was_last_heard() {
        let findings = Findings::read(CRASH);
        assert_eq!(findings.artifacts, ["fuzz/artifacts/payload/crash-0eb8e4ed"]);
        assert_eq!(findings.verdict.as_deref(), Some("libFuzzer: deadly signal"));
        assert_eq!((findings.executions, findings.edges, findings.corpus), (4096, 330, 14));
    }

    #[test]
    fn a_replay_names_the_file_it_died_of() {
        let log = "Running: r/a\nExecuted r/a in 0 ms\nRunning: r/b\nSUMMARY: libFuzzer: deadly signal\n";
        let findings = Findings::read(log);
        assert_eq!((findings.replayed, findings.last_replayed.as_deref()), (1, Some("r/b")));
    }
}
