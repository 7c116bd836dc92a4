//! Who may connect: lists of peers, which change, on both ends.

use super::*;

fn noise_connector(provider: &Provider, key: LocalKey, servers: Arc<dyn PeerPolicy>) -> Connector {
    Connector::noise(provider, key, servers).with_deadlines(patient())
}

async fn noise_server(peers: Arc<dyn PeerPolicy>) -> (Running, LocalKey, Provider) {
    let provider = support::aws_lc_rs();
    let key = local_key(&provider);
    let server = Server::noise(&provider, key.clone(), peers);
    (Running::start(server, options(), accept_all).await, key, provider)
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_kept_out_by_both_ends() {
    let provider = support::aws_lc_rs();
    let friend = local_key(&provider);
    let (server, server_key, _) = noise_server(pinned(&provider, &friend)).await;
    let pins = pinned(&provider, &server_key);

    let stranger = noise_connector(&provider, local_key(&provider), Arc::clone(&pins));
    // the client's last message is under way when the server refuses it; the channel is dead from the start
    let mut dead: Client<TcpStream> = stranger.connect(server.address).await.unwrap();
    assert!(dead.submit(b"{}").await.is_err());
    server.wait_until(|report| report.handshakes_failed == 1).await;
    let events = server.events();
    assert!(events[0].contains("is not on the list of peers"), "{events:?}");

    let expects_another = noise_connector(&provider, friend.clone(), Arc::new(Pins::default()));
    let refusal = expects_another.connect(server.address).await.unwrap_err();
    assert!(matches!(refusal, ChannelError::Handshake(HandshakeError::PeerNotAllowed { .. })), "{refusal}");

    let mut welcome = noise_connector(&provider, friend, pins).connect(server.address).await.unwrap();
    assert!(welcome.submit(b"{}").await.unwrap().is_accepted());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_taken_off_the_list_is_heard_no_more() {
    let provider = support::aws_lc_rs();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peers");
    let (first, second) = (local_key(&provider), local_key(&provider));
    let name = |key: &LocalKey| support::fingerprint(&provider, key.public_key()).to_string();
    std::fs::write(&path, format!("{}\n{}\n", name(&first), name(&second))).unwrap();
    let list = Arc::new(AllowList::open(&path).unwrap());
    let peers: Arc<dyn PeerPolicy> = Arc::<AllowList>::clone(&list);
    let (server, server_key, _) = noise_server(peers).await;
    let connector = |key: &LocalKey| noise_connector(&provider, key.clone(), pinned(&provider, &server_key));
    let mut leaving = connector(&first).connect(server.address).await.unwrap();
    let mut staying = connector(&second).connect(server.address).await.unwrap();
    assert!(leaving.submit(b"{}").await.unwrap().is_accepted());

    std::fs::write(&path, name(&second)).unwrap();
    assert!(list.reload().unwrap());
    assert!(leaving.submit(b"{}").await.is_err());
    assert!(staying.submit(b"{}").await.unwrap().is_accepted());
    let mut again = connector(&first).connect(server.address).await.unwrap();
    assert!(again.submit(b"{}").await.is_err());
    let report = server.stop().await;
    assert_eq!((report.messages_accepted, report.failed, report.handshakes_failed), (2, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_nonsense_is_not_believed() {
    let provider = support::aws_lc_rs();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answering = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let handshake =
            studioml_envelope_channel::seed::Handshake::unauthenticated_server(&provider, RecordOptions::default());
        let mut channel = Channel::establish(stream, handshake.into(), patient()).await.unwrap();
        for answer in ["ok", r#"{"status":"accepted?"}"#] {
            channel.receive().await.unwrap();
            channel.send(answer.as_bytes()).await.unwrap();
        }
        channel.receive().await.unwrap();
        channel.close().await.unwrap();
    });
    let mut client =
        Connector::seed_unauthenticated(&provider).with_deadlines(patient()).connect(address).await.unwrap();
    for refusal in ["not a receipt", "not a receipt", "closed the channel without a receipt"] {
        let error = client.submit(b"{}").await.unwrap_err().to_string();
        assert!(error.contains(refusal), "{error}");
    }
    drop(client);
    answering.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_list_of_nobody_lets_nobody_in() {
    let (server, server_key, provider) = noise_server(Arc::new(Pins::default())).await;
    let connector = noise_connector(&provider, local_key(&provider), pinned(&provider, &server_key));
    let mut client = connector.connect(server.address).await.unwrap();
    assert!(client.submit(b"{}").await.is_err());
    assert_eq!(server.stop().await.established, 0);
    let (server, server_key, provider) = noise_server(Arc::new(Anybody)).await;
    let connector = noise_connector(&provider, local_key(&provider), pinned(&provider, &server_key));
    assert!(connector.connect(server.address).await.unwrap().submit(b"{}").await.is_ok());
    server.stop().await;
}
