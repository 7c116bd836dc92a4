//! What `deploy/` hands out is what it says: manifests by the Kubernetes schema, a sample configuration with every option,
//! a dashboard and rules over series that exist.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use regex_lite::Regex;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use studioml_envelope_gateway::Config;
use studioml_envelope_gateway::config::{InnerConfig, KeysConfig, OuterConfig};
use studioml_envelope_gateway::decision::ReasonCode;
use support::keys::{Experimenter, Mounts, public_pem, report, report_key, request};
use support::process::{Gateway, write_config};
use support::queue::Queue;
use support::wait;

#[test]
#[ignore = "not a test: the process that the tests start and kill"]
fn gateway_process() {
    support::process::be_the_gateway();
}

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

fn read(path: &str) -> String {
    fs::read_to_string(deploy().join(path)).unwrap()
}

/// Reads a manifest by the schema's own type. What the type does not know it would drop, so nothing may be missing when it
/// is written again.
fn typed<T: DeserializeOwned + Serialize>(name: &str) -> T {
    let value: Value = serde_saphyr::from_str(&read(&format!("kubernetes/{name}.yaml"))).unwrap();
    let typed: T = serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(serde_json::to_value(&typed).unwrap(), value, "{name}");
    typed
}

#[test]
fn every_manifest_is_what_the_schema_says_and_is_applied() {
    typed::<ServiceAccount>("serviceaccount");
    typed::<ConfigMap>("configmap");
    typed::<Deployment>("deployment");
    typed::<Service>("service");
    typed::<NetworkPolicy>("networkpolicy");
    typed::<HorizontalPodAutoscaler>("horizontalpodautoscaler");
    typed::<PodDisruptionBudget>("poddisruptionbudget");
    let kustomization: Value = serde_saphyr::from_str(&read("kubernetes/kustomization.yaml")).unwrap();
    let applied: BTreeSet<String> =
        kustomization["resources"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    let files = fs::read_dir(deploy().join("kubernetes")).unwrap();
    let files: BTreeSet<String> = files.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files.into_iter().filter(|name| name != "kustomization.yaml").collect::<BTreeSet<_>>(), applied);
}

#[test]
fn the_deployment_has_the_seeds_mounts_and_no_rights() {
    let deployment = typed::<Deployment>("deployment").spec.unwrap();
    let pod = deployment.template.spec.unwrap();
    assert_eq!(deployment.selector.match_labels, deployment.template.metadata.unwrap().labels);
    let container = &pod.containers[0];
    let mounts = container.volume_mounts.as_ref().unwrap();
    assert!(mounts.iter().all(|mount| mount.read_only == Some(true)));
    let secret_at = |path: &Path| {
        let mount = mounts.iter().find(|mount| Path::new(&mount.mount_path) == path).unwrap();
        let volume = pod.volumes.as_ref().unwrap().iter().find(|volume| volume.name == mount.name).unwrap();
        volume.secret.as_ref().unwrap().secret_name.clone().unwrap()
    };
    // the defaults of the configuration are the seed's mount paths
    let keys = KeysConfig::default();
    assert_eq!(secret_at(&keys.encryption), "studioml-runner-key-secret");
    assert_eq!(secret_at(&keys.passphrase), "studioml-runner-passphrase-secret");
    assert_eq!(secret_at(&keys.signing), "studioml-signing");
    assert_eq!(secret_at(&keys.reports), "studioml-report-keys");

    let pod_security = pod.security_context.unwrap();
    assert_eq!((pod_security.run_as_non_root, pod_security.fs_group), (Some(true), pod_security.run_as_group));
    let security = container.security_context.as_ref().unwrap();
    assert_eq!(security.read_only_root_filesystem, Some(true));
    assert_eq!(security.allow_privilege_escalation, Some(false));
    assert_eq!(security.capabilities.as_ref().unwrap().drop.as_ref().unwrap(), &["ALL"]);
    assert_eq!(pod.automount_service_account_token, Some(false));
    let path = |probe: &Option<k8s_openapi::api::core::v1::Probe>| {
        probe.as_ref().unwrap().http_get.as_ref().unwrap().path.clone().unwrap()
    };
    assert_eq!(
        (path(&container.liveness_probe), path(&container.readiness_probe)),
        ("/livez".into(), "/readyz".into())
    );

    // it drains before it is killed
    let config = mounted_config();
    assert!(pod.termination_grace_period_seconds.unwrap() as f64 > config.limits.drain_seconds);
    assert!(pod.termination_grace_period_seconds.unwrap() <= 20);
}

/// The configuration that the config map mounts.
fn mounted_config() -> Config {
    let data = typed::<ConfigMap>("configmap").data.unwrap();
    Config::parse(&data["gateway.toml"], Path::new("/etc/studioml-gateway"), None).unwrap()
}

#[test]
fn the_mounted_configuration_fits_the_deployment() {
    let config = mounted_config();
    let deployment = typed::<Deployment>("deployment").spec.unwrap().template.spec.unwrap();
    let container = &deployment.containers[0];
    let mounts: Vec<&str> =
        container.volume_mounts.as_ref().unwrap().iter().map(|mount| mount.mount_path.as_str()).collect();
    let (OuterConfig::Amqp(outer), InnerConfig::Amqp(inner)) = (&config.outer, &config.inner) else { panic!() };
    for file in [outer.url_file.as_ref().unwrap(), inner.url_file.as_ref().unwrap()] {
        assert!(mounts.contains(&file.parent().unwrap().to_str().unwrap()), "{}", file.display());
    }
    let port = config.http.listen.rsplit(':').next().unwrap().parse::<i32>().unwrap();
    assert_eq!(container.ports.as_ref().unwrap()[0].container_port, port);
    // nothing but the files of secrets that are not there is wrong with it
    let problems = config.problems();
    assert!(problems.iter().all(|problem| problem.contains("url_file")), "{problems:?}");
}

/// The sample configuration: the lines that are in force, and for each commented kind of outer side its own.
struct Sample {
    in_force: Vec<String>,
    /// Tables that begin with a commented `[outer]`.
    alternatives: Vec<Vec<String>>,
    /// Commented options of tables that are in force.
    others: Vec<String>,
}

impl Sample {
    fn read() -> Self {
        let commented = Regex::new(r"^# ([a-z_]+ = .*|\[.*\])$").unwrap();
        let mut sample = Self { in_force: Vec::new(), alternatives: Vec::new(), others: Vec::new() };
        let mut in_alternative = false;
        for line in read("gateway.toml").lines() {
            if line.starts_with('[') {
                in_alternative = false;
            }
            if line == "# [outer]" {
                in_alternative = true;
                sample.alternatives.push(Vec::new());
            }
            match commented.captures(line).map(|found| found[1].to_owned()) {
                Some(option) if in_alternative => sample.alternatives.last_mut().unwrap().push(option),
                Some(option) => sample.others.push(option),
                None if line.starts_with('#') => {}
                None => sample.in_force.push(line.to_owned()),
            }
        }
        sample
    }

    /// The sample with another outer side.
    fn with(&self, alternative: &[String]) -> String {
        let mut in_outer = false;
        let mut lines = Vec::new();
        for line in &self.in_force {
            if line.starts_with('[') {
                in_outer = line == "[outer]";
            }
            if !in_outer {
                lines.push(line.clone());
            }
        }
        lines.extend_from_slice(alternative);
        lines.join("\n")
    }

    fn names(&self) -> BTreeSet<String> {
        let all = self.in_force.iter().chain(self.alternatives.iter().flatten()).chain(&self.others);
        let name = |line: &String| match line.split_once(" = ") {
            Some((name, _)) => name.to_owned(),
            None => line.trim_matches(['[', ']']).rsplit('.').next().unwrap_or_default().to_owned(),
        };
        all.map(name).collect()
    }
}

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("/etc/studioml-gateway"), None).map_err(|error| error.to_string())
}

#[test]
fn the_sample_configuration_reads_in_every_variant_and_its_values_are_the_defaults() {
    let sample = Sample::read();
    let config = parse(&sample.in_force.join("\n")).unwrap();
    assert_eq!(config.problems(), Vec::<String>::new());
    assert_eq!(sample.alternatives.len(), 2);
    let kinds: Vec<OuterConfig> =
        sample.alternatives.iter().map(|alternative| parse(&sample.with(alternative)).unwrap().outer).collect();
    assert!(matches!(kinds.as_slice(), [OuterConfig::Amqp(_), OuterConfig::Channel(_)]));

    let smallest = "[outer]\nkind = \"dir\"\nroot = \"outer\"\n[inner]\nkind = \"dir\"\nroot = \"inner\"\n";
    assert_eq!(format!("{config:?}"), format!("{:?}", parse(smallest).unwrap()), "a default has changed");
}

#[test]
fn the_sample_configuration_has_every_option() {
    let names = Sample::read().names();
    let outer =
        |kind: &str, rest: &str| format!("[inner]\nkind = \"dir\"\nroot = \"i\"\n[outer]\nkind = {kind:?}\n{rest}");
    let directories = "[inner]\nkind = \"dir\"\nroot = \"i\"\n[outer]\nkind = \"dir\"\nroot = \"o\"\n";
    let mut texts = vec![
        format!("no_such_option = 1\n{directories}"),
        outer("dir", "root = \"o\"\nno_such_option = 1"),
        outer("amqp", "no_such_option = 1"),
        outer("channel", "listen = \"l\"\nkey = \"k\"\nno_such_option = 1"),
        outer("channel", "listen = \"l\"\nkey = \"k\"\n[[outer.peers]]\nno_such_option = 1"),
    ];
    let tables = ["keys", "http", "rejects", "limits", "replay", "log"];
    texts.extend(tables.map(|table| format!("{directories}[{table}]\nno_such_option = 1")));
    for text in texts {
        // what is refused names everything that is not
        let error = parse(&text).unwrap_err();
        let known: Vec<&str> = error.split("expected").nth(1).unwrap().split('`').skip(1).step_by(2).collect();
        assert!(!known.is_empty(), "{error}");
        for option in known {
            assert!(names.contains(option), "{option} is not explained in deploy/gateway.toml");
        }
    }
}

/// The series that a gateway tells after requests, rejects and reports.
fn series_of_a_running_gateway() -> BTreeSet<String> {
    let directory = tempfile::tempdir().unwrap();
    let mut mounts = Mounts::new(directory.path());
    let experimenter = Experimenter::new();
    mounts.signing.put("rmq_", &experimenter.public_line());
    mounts.reports.put("rmq_", &public_pem(report_key()));
    let (outer, inner) = (directory.path().join("outer"), directory.path().join("inner"));
    let queue = Queue::create(&outer, "rmq_one");
    queue.put("good", &experimenter.seal(&request(1, 500)));
    queue.put("bad", b"junk");
    Queue::create(&inner, "rmq_one_response").put("report", &report(1));
    let text = format!(
        "[outer]\nkind = \"dir\"\nroot = \"outer\"\n[inner]\nkind = \"dir\"\nroot = \"inner\"\n\
         [http]\nlisten = \"127.0.0.1:0\"\n{}",
        mounts.toml()
    );
    let gateway = Gateway::start(&write_config(directory.path(), &text));
    Queue::at(&inner, "rmq_one").wait_for("good");
    Queue::at(&outer, "rmq_one_response").wait_for("report");
    let rejected = || gateway.metric("studioml_gateway_messages_total", &["result=\"rejected\""]);
    wait::until("the reject", || (rejected() == 1.0).then_some(()));
    let (status, text) = gateway.get("/metrics");
    assert_eq!(status, 200);
    assert!(text.ends_with("# EOF\n"), "OpenMetrics");
    // whoever makes queues makes no series
    assert!(text.contains("prefix=\"rmq_\"") && !text.contains("rmq_one"), "{text}");
    // described, whether they have a value yet or not
    let described = Regex::new(r"(?m)^# TYPE (studioml_gateway_\w+) (\w+)$").unwrap();
    let mut series = BTreeSet::new();
    for found in described.captures_iter(&text) {
        let name = &found[1];
        match &found[2] {
            "counter" => drop(series.insert(format!("{name}_total"))),
            "histogram" => drop(series.insert(format!("{name}_bucket"))),
            "info" => drop(series.insert(format!("{name}_info"))),
            _ => drop(series.insert(name.to_owned())),
        }
    }
    series
}

#[test]
fn dashboard_and_alerts_are_about_series_that_exist_and_leave_none_out() {
    let dashboard: Value = serde_json::from_str(&read("grafana/dashboard.json")).unwrap();
    let mut expressions = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(!panel["description"].as_str().unwrap().is_empty());
        for target in panel["targets"].as_array().unwrap() {
            expressions.push(target["expr"].as_str().unwrap().to_owned());
        }
    }
    let rules: Value = serde_saphyr::from_str(&read("prometheus/alerts.yaml")).unwrap();
    for rule in rules["groups"][0]["rules"].as_array().unwrap() {
        for annotation in ["summary", "description"] {
            assert!(rule["annotations"][annotation].is_string(), "{rule}");
        }
        expressions.push(rule["expr"].as_str().unwrap().to_owned());
    }
    let name = Regex::new(r"studioml_gateway_\w+").unwrap();
    let used: BTreeSet<String> = expressions
        .iter()
        .flat_map(|expression| name.find_iter(expression).map(|found| found.as_str().to_owned()).collect::<Vec<_>>())
        .collect();
    let series = series_of_a_running_gateway();
    assert_eq!(used.difference(&series).collect::<Vec<_>>(), Vec::<&String>::new(), "there is no such series");
    assert_eq!(series.difference(&used).collect::<Vec<_>>(), Vec::<&String>::new(), "the dashboard leaves it out");
}

#[test]
fn the_containers_command_is_the_one_of_the_deployment() {
    let text = read("Containerfile");
    let deployment = typed::<Deployment>("deployment").spec.unwrap().template.spec.unwrap();
    let args = serde_json::to_string(&deployment.containers[0].args).unwrap().replace("\",\"", "\", \"");
    assert!(text.contains(&format!("CMD {args}")), "{args}");
    let user = deployment.security_context.unwrap().run_as_user.unwrap();
    assert!(text.contains(&format!("USER {user}:{user}")));
    // it is built under the name that the deployment asks for
    let container = &deployment.containers[0];
    let image = container.image.as_ref().unwrap();
    assert_eq!(*image, format!("studioml-envelope:{}", env!("CARGO_PKG_VERSION")));
    assert!(text.contains(&format!("-t {image} .")));
    for variable in container.env.as_ref().unwrap() {
        assert!(text.contains(&format!("ENV {}={}\n", variable.name, variable.value.as_ref().unwrap())));
    }
    // and of sources only: what is copied is all that is not ignored
    assert!(text.contains("COPY . ."));
    let ignored = fs::read_to_string(deploy().join("../.containerignore")).unwrap();
    for path in [".git", "**/target"] {
        assert!(ignored.lines().any(|line| line == path), "{path}");
    }
}

#[test]
fn the_autoscaler_alone_says_how_many_there_are() {
    let deployment = typed::<Deployment>("deployment");
    let autoscaler = typed::<HorizontalPodAutoscaler>("horizontalpodautoscaler").spec.unwrap();
    assert_eq!(Some(autoscaler.scale_target_ref.name), deployment.metadata.name);
    assert!(autoscaler.min_replicas.unwrap() >= 2);
    assert_eq!(deployment.spec.unwrap().replicas, None, "each apply would set the number back");
}

#[test]
fn alerts_about_single_events_can_fire() {
    let rules: Value = serde_saphyr::from_str(&read("prometheus/alerts.yaml")).unwrap();
    let minutes = |text: &str| text.trim_end_matches('m').parse::<u32>().unwrap();
    let range = Regex::new(r"(?:rate|increase)\(\w+\{[^}]*\}\[(\d+m)\]").unwrap();
    let mut checked = 0;
    for rule in rules["groups"][0]["rules"].as_array().unwrap() {
        let Some(found) = range.captures(rule["expr"].as_str().unwrap()) else { continue };
        let wait = rule["for"].as_str().map_or(0, minutes);
        assert!(2 * wait < minutes(&found[1]), "one event is over before it has lasted long enough: {rule}");
        checked += 1;
    }
    assert_eq!(checked, 3, "forged, replayed, and what cannot be opened");
}

#[test]
fn the_owners_page_explains_every_reason_and_every_alert() {
    let page = fs::read_to_string(deploy().join("../docs/gateway.md")).unwrap();
    for reason in ReasonCode::ALL {
        assert!(page.contains(&format!("| `{}` |", reason.as_str())), "{}", reason.as_str());
    }
    let rules: Value = serde_saphyr::from_str(&read("prometheus/alerts.yaml")).unwrap();
    for rule in rules["groups"][0]["rules"].as_array().unwrap() {
        let alert = rule["alert"].as_str().unwrap();
        assert!(page.contains(&format!("| `{alert}` |")), "{alert}");
    }
}
