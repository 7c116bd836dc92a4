//! The P-256 channel as a source: the receipt is the acknowledgement.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use studioml_envelope::{Fingerprint, FingerprintForm, P256PrivateKey, PrivateKey, PublicKey};
use studioml_envelope_channel::noise::LocalKey;
use studioml_envelope_channel::{Client, Connector, Pins, Receipt};
use studioml_envelope_keys::{PrivateFormat, disk, encode_private};
use support::keys::{Experimenter, Mounts, number_of, request};
use support::process::{Gateway, write_config};
use support::queue::Queue;
use support::{provider, wait};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

#[test]
#[ignore = "not a test: the process that the tests start and kill"]
fn gateway_process() {
    support::process::be_the_gateway();
}

fn generate() -> P256PrivateKey {
    provider().agree_static.generate(provider().random).unwrap()
}

fn fingerprint(key: &P256PrivateKey, form: FingerprintForm) -> Fingerprint {
    Fingerprint::of(&PublicKey::P256(*key.public_key()), form, provider().digest)
}

struct World {
    directory: tempfile::TempDir,
    experimenter: Experimenter,
    peer: P256PrivateKey,
    server: Fingerprint,
    runtime: Runtime,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut mounts = Mounts::new(directory.path());
        let experimenter = Experimenter::new();
        mounts.signing.put("rmq_", &experimenter.public_line());
        let (peer, server) = (generate(), generate());
        let server_fingerprint = fingerprint(&server, FingerprintForm::SshSha256);
        let pem = encode_private(&PrivateKey::P256(server), PrivateFormat::Pkcs8, None, "", &provider()).unwrap();
        disk::write_private(&directory.path().join("channel-key"), pem.expose_secret(), disk::Replace::Never).unwrap();
        let text = format!(
            "[outer]\nkind = \"channel\"\nlisten = \"127.0.0.1:0\"\nkey = \"channel-key\"\n\
             [[outer.peers]]\nfingerprint = \"{}\"\nqueue = \"rmq_by_channel\"\n\
             [inner]\nkind = \"dir\"\nroot = \"inner\"\n[http]\nlisten = \"127.0.0.1:0\"\n{}",
            fingerprint(&peer, FingerprintForm::SpkiSha256),
            mounts.toml()
        );
        write_config(directory.path(), &text);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { directory, experimenter, peer, server: server_fingerprint, runtime }
    }

    fn start(&self) -> Gateway {
        Gateway::start(&self.directory.path().join("gateway.toml"))
    }

    fn connect(&self, gateway: &Gateway, key: &P256PrivateKey) -> Option<Client<TcpStream>> {
        let address: SocketAddr =
            wait::until("the channel's address", || gateway.logged_address("listening for channels"));
        let servers = Arc::new(Pins::new([self.server]));
        let connector = Connector::noise(&provider(), LocalKey::load(&provider(), key).unwrap(), servers);
        self.runtime.block_on(connector.connect(address)).ok()
    }

    fn submit(&self, client: &mut Client<TcpStream>, message: &[u8]) -> Receipt {
        self.runtime.block_on(client.submit(message)).unwrap()
    }

    fn inner(&self) -> Queue {
        Queue::at(&self.directory.path().join("inner"), "rmq_by_channel")
    }
}

#[test]
fn accepted_means_that_it_is_there() {
    let world = World::new();
    let gateway = world.start();
    let mut client = world.connect(&gateway, &world.peer).unwrap();
    for number in 0..20 {
        let sealed = world.experimenter.seal(&request(number, 2000));
        assert_eq!(world.submit(&mut client, &sealed), Receipt::Accepted);
        let [(_, message)] = &world.inner().take()[..] else { panic!("one message") };
        assert_eq!(number_of(message), number);
        // a sender that did not hear the receipt sends again: accepted, and not published again
        assert_eq!(world.submit(&mut client, &sealed), Receipt::Accepted);
        assert!(world.inner().names().is_empty());
    }
    gateway.wait_until_ready();
    gateway.terminate();
}

#[test]
fn who_sends_what_cannot_pass_is_told_why() {
    let world = World::new();
    let gateway = world.start();
    let mut client = world.connect(&gateway, &world.peer).unwrap();
    let forged = Experimenter::new().seal(&request(1, 500));
    for (message, expected) in [
        (forged, "bad-signature: "),
        (b"junk".to_vec(), "malformed: "),
        (request(1, 500), "clear-text: "),
        (world.experimenter.seal(b"{}"), "not-a-request: "),
    ] {
        match world.submit(&mut client, &message) {
            Receipt::Refused { reason } => assert!(reason.starts_with(expected), "{reason}"),
            Receipt::Accepted => panic!("{expected}"),
        }
    }
    // and the next one flows
    assert_eq!(world.submit(&mut client, &world.experimenter.seal(&request(2, 500))), Receipt::Accepted);
    assert_eq!(world.inner().names().len(), 1);
}

#[test]
fn whoever_is_not_configured_is_not_let_in() {
    let world = World::new();
    let gateway = world.start();
    let stranger = generate();
    let sealed = world.experimenter.seal(&request(1, 500));
    if let Some(mut client) = world.connect(&gateway, &stranger) {
        assert!(world.runtime.block_on(client.submit(&sealed)).is_err());
    }
    assert!(world.inner().names().is_empty());
}

#[test]
fn a_channel_is_closed_in_order_when_the_gateway_ends() {
    let world = World::new();
    let gateway = world.start();
    let mut client = world.connect(&gateway, &world.peer).unwrap();
    assert_eq!(world.submit(&mut client, &world.experimenter.seal(&request(1, 500))), Receipt::Accepted);
    gateway.signal(rustix::process::Signal::TERM);
    let mut channel = client.into_channel();
    assert_eq!(world.runtime.block_on(channel.receive()).unwrap(), None, "a close, and no cut");
    world.runtime.block_on(channel.close()).unwrap();
    let (code, log) = gateway.ended();
    assert_eq!(code, Some(0), "{log}");
}
