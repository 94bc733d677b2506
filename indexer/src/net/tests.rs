use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;

use super::testing::{Answer, Http, dns, fickle_dns, net, short_limits};
use super::{Net, NetError, NetOptions};

async fn get(net: &Net, url: &str) -> Result<String, NetError> {
    let url: Url = url.parse().expect(url);
    net.get_bytes(&url, 100).await.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn listed_hosts_answer_and_all_other_private_ones_are_refused() {
    let http = Http::serve(|_, head| {
        assert!(head.contains(concat!("user-agent: plyr/", env!("CARGO_PKG_VERSION"), "\r\n")), "{head}");
        assert!(!head.contains("accept-encoding"), "{head}");
        Answer::json(r#"{"a":1}"#)
    })
    .await;
    let listed = net(&[&http]);
    assert_eq!(get(&listed, http.url("/x?y=z").as_str()).await.expect("listed"), r#"{"a":1}"#);
    let json: serde_json::Value = listed.get_json(&http.url("/"), 100).await.expect("JSON");
    assert_eq!(json["a"], 1);
    assert_eq!(http.paths(), ["/x?y=z", "/"]);

    let port = http.port;
    let unlisted = net(&[]);
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "[::]",
        "0",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "169.254.169.254",
        "10.0.0.1",
        "[fd00::1]",
        "[64:ff9b::7f00:1]",
    ] {
        for (net, scheme) in [(&unlisted, "http"), (&unlisted, "https"), (&listed, "https")] {
            let other = if std::ptr::eq(net, &listed) { port ^ 1 } else { port };
            let error = get(net, &format!("{scheme}://{host}:{other}/")).await.expect_err(host);
            assert!(matches!(error, NetError::Refused(_)), "{scheme} {host}: {error}");
        }
        assert!(matches!(unlisted.check_host(host, port).await, Err(NetError::Refused(_))), "{host}");
    }
    // Another name of a listed address is not listed.
    assert!(matches!(get(&listed, &format!("https://localhost:{port}/")).await, Err(NetError::Refused(_))));
    assert!("http://[fe80::1%25eth0]/".parse::<Url>().is_err(), "zones are no URLs");
    assert_eq!(http.paths().len(), 2, "nothing else arrived");
}

#[tokio::test]
async fn only_plain_addresses_over_http_and_tls_are_fetched() {
    let net = net(&[]);
    for url in ["http://example.com/", "ftp://example.com/", "file:///etc/passwd", "https://u:p@example.com/"]
    {
        let error = get(&net, url).await.expect_err(url);
        assert!(matches!(error, NetError::Refused(_)), "{url}: {error}");
        assert!(!error.to_string().contains("u:p"), "{error}");
    }
}

#[tokio::test]
async fn operator_urls_are_exempt() {
    let http = Http::serve(|_, _| Answer::json("ok")).await;
    let operator_urls = vec![http.url("/some/path")];
    let net = Net::new(NetOptions { operator_urls, ..NetOptions::default() }).expect("a client");
    assert_eq!(get(&net, http.url("/").as_str()).await.expect("exempt"), "ok");
}

#[tokio::test]
async fn names_lead_to_their_public_addresses_alone() {
    let records = [("both.test", "8.8.8.8"), ("both.test", "127.0.0.1"), ("inside.test", "10.1.2.3")];
    let name_server = Some(dns(&records).await);
    let options = NetOptions { name_server, limits: short_limits(), ..NetOptions::default() };
    let net = Net::new(options).expect("a client");
    assert_eq!(
        net.check_host("both.test", 443).await.expect("public"),
        ["8.8.8.8:443".parse().expect("address")]
    );
    assert!(matches!(net.check_host("inside.test", 443).await, Err(NetError::Refused(_))));
    assert!(matches!(get(&net, "https://inside.test/").await, Err(NetError::Refused(_))));
    assert!(matches!(get(&net, "https://nowhere.test/").await, Err(NetError::NoSuchName(_))));
    assert!(matches!(net.check_host("nowhere.test", 443).await, Err(NetError::NoSuchName(_))));
    for bad in ["", "a b", "a/b", "a@b", "[::1"] {
        assert!(net.check_host(bad, 443).await.is_err(), "{bad}");
    }
}

#[tokio::test]
async fn redirects_are_followed_through_the_guard() {
    let secret = Http::serve(|_, _| Answer::json("secret")).await;
    let target = secret.url("/").to_string();
    let http = Http::serve(move |path, _| match path {
        "/inside" => Answer::Reply(302, format!("location: {target}\r\n"), vec![]),
        "/metadata" => Answer::Reply(307, "location: https://169.254.169.254/latest\r\n".into(), vec![]),
        "/localhost" => Answer::Reply(307, "location: https://localhost/\r\n".into(), vec![]),
        "/loop" => Answer::Reply(301, "location: /loop\r\n".into(), vec![]),
        "/nowhere" => Answer::status(302),
        "/once" => Answer::Reply(308, "location: there?a=b\r\n".into(), vec![]),
        _ => Answer::json("arrived"),
    })
    .await;
    let net = net(&[&http]);
    for path in ["/inside", "/metadata", "/localhost"] {
        let error = get(&net, http.url(path).as_str()).await.expect_err(path);
        assert!(matches!(error, NetError::Refused(_)), "{path}: {error}");
    }
    for path in ["/loop", "/nowhere"] {
        let error = get(&net, http.url(path).as_str()).await.expect_err(path);
        assert!(matches!(error, NetError::Malformed(_)), "{path}: {error}");
    }
    assert_eq!(http.paths().iter().filter(|path| *path == "/loop").count(), 4);
    assert_eq!(get(&net, http.url("/once").as_str()).await.expect("followed"), "arrived");
    assert!(secret.paths().is_empty());
}

#[tokio::test]
async fn bodies_end_at_their_limit() {
    let http = Http::serve(|path, _| match path {
        "/announced" => Answer::Reply(200, String::new(), vec![b'x'; 101]),
        "/exact" => Answer::Reply(200, String::new(), vec![b'x'; 100]),
        _ => Answer::Drip(vec![b'x'; 30], Duration::from_millis(1)),
    })
    .await;
    let net = net(&[&http]);
    for path in ["/announced", "/unannounced"] {
        let error = get(&net, http.url(path).as_str()).await.expect_err(path);
        assert!(matches!(error, NetError::TooLarge { cap_bytes: 100 }), "{path}: {error}");
    }
    assert_eq!(get(&net, http.url("/exact").as_str()).await.expect("fits").len(), 100);
    let (_, mut body) = net.get_stream(&http.url("/unannounced"), 100).await.expect("begins");
    let mut read = 0;
    let error = loop {
        match body.chunk().await {
            Ok(chunk) => read += chunk.expect("no end").len(),
            Err(error) => break error,
        }
    };
    assert!(read <= 100 && matches!(error, NetError::TooLarge { .. }), "{read} {error}");
}

#[tokio::test]
async fn slow_hosts_run_out_of_time() {
    let http = Http::serve(|path, _| match path {
        "/hang" => Answer::Hang,
        "/stall" => Answer::Drip(b"x".to_vec(), Duration::from_secs(60)),
        _ => Answer::Drip(b"x".to_vec(), Duration::from_millis(50)),
    })
    .await;
    let net = net(&[&http]);
    for path in ["/hang", "/stall", "/drip"] {
        let began = Instant::now();
        let error = get(&net, http.url(path).as_str()).await.expect_err(path);
        assert!(matches!(error, NetError::Timeout), "{path}: {error:?}");
        assert!(began.elapsed() < Duration::from_secs(10), "{path}");
    }
}

#[tokio::test]
async fn an_answer_without_success_is_told_in_full() {
    let http = Http::serve(|path, _| match path {
        "/xrpc" => {
            let body = br#"{"error":"RepoNotFound","message":"no such repo"}"#;
            Answer::Reply(400, "retry-after: 7\r\n".into(), body.to_vec())
        }
        "/large" => Answer::Reply(500, String::new(), vec![b'x'; 1_000_000]),
        _ => Answer::Reply(404, String::new(), b"<html>".to_vec()),
    })
    .await;
    let net = net(&[&http]);
    let error = get(&net, http.url("/xrpc").as_str()).await.expect_err("400");
    let status = error.status().expect("a status");
    assert_eq!((status.code, status.error.as_deref()), (400, Some("RepoNotFound")));
    assert_eq!(status.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(error.to_string(), "status 400 RepoNotFound: no such repo");
    assert!(!error.is_transient());
    let error = get(&net, http.url("/large").as_str()).await.expect_err("500");
    assert!(error.status().is_some_and(|status| status.code == 500 && status.error.is_none()));
    assert!(error.is_transient());
    let error = get(&net, http.url("/").as_str()).await.expect_err("404");
    assert!(error.status().is_some_and(|status| status.code == 404));
    assert!(matches!(net.get_json::<u8>(&http.url("/xrpc"), 100).await, Err(NetError::Status(_))));
}

#[tokio::test]
async fn tls_is_spoken_where_https_is_said() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let hello = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let first = stream.read_u8().await.expect("a byte");
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("sent");
        first
    });
    let private_hosts = [address.to_string().parse().expect("authority")].into();
    let net = Net::new(NetOptions { private_hosts, ..NetOptions::default() }).expect("a client");
    let error = get(&net, &format!("https://{address}/")).await.expect_err("not a TLS server");
    assert!(matches!(error, NetError::Io(_)), "{error:?}");
    assert_eq!(hello.await.expect("accepted"), 0x16, "a TLS handshake record");
    assert!(net.connect("127.0.0.1", 1).await.is_err());
}

#[tokio::test]
async fn listed_hosts_can_be_dialled_by_hand() {
    let http = Http::serve(|_, _| Answer::json("ok")).await;
    let net = net(&[&http]);
    let stream = net.connect("127.0.0.1", http.port).await.expect("connected");
    assert_eq!(stream.peer_addr().expect("peer").port(), http.port);
    let named = format!("localhost:{}", http.port).parse().expect("authority");
    let net =
        Net::new(NetOptions { private_hosts: [named].into(), ..NetOptions::default() }).expect("a client");
    assert!(net.connect("localhost", http.port).await.is_ok());
    assert!(matches!(net.connect("127.0.0.1", http.port).await, Err(NetError::Refused(_))));
}

/// A name that is public when it is checked and private when it is connected to: what was checked is connected to.
#[tokio::test]
async fn a_name_that_changes_its_address_leads_nowhere_else() {
    let inside = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = inside.local_addr().expect("bound").port();
    // Somebody else, who does not answer at that port; then us; and so on.
    let name_server = Some(fickle_dns(&["8.8.8.8", "127.0.0.1"]).await);
    let limits = super::Limits { connect: Duration::from_millis(300), ..short_limits() };
    let net = Net::new(NetOptions { name_server, limits, ..NetOptions::default() }).expect("a client");
    for question in 0..4 {
        let error = get(&net, &format!("https://rebind.test:{port}/")).await.expect_err("no answer");
        let refused = matches!(error, NetError::Refused(_));
        assert_eq!(refused, question % 2 == 1, "{question}: {error}");
    }
    for question in 0..4 {
        let connected = net.connect("rebind.test", port).await;
        let error = connected.expect_err("no answer");
        assert_eq!(matches!(error, NetError::Refused(_)), question % 2 == 1, "{question}: {error}");
    }
    let came = tokio::time::timeout(Duration::from_millis(100), inside.accept()).await;
    assert!(came.is_err(), "somebody came through");
}
