//! What pages of other origins may read: whatever is everybody's, and every refusal; never an answer to somebody's cookie.

use reqwest::header::HeaderMap;
use reqwest::{Method, Response};

use crate::world::{Account, Person, Plyr, network, run};

const LISTED: &str = "https://app.example";
const ELSEWHERE: &str = "https://elsewhere.example";

async fn ask(plyr: &Plyr, method: Method, path: &str, origin: &str, more: &[(&str, &str)]) -> Response {
    let request = plyr.http().request(method, format!("{}{path}", plyr.url)).header("origin", origin);
    let request = more.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.send().await.expect("plyr answers")
}

/// Whether a page of `origin` may read it; and whether it may even where it sent a cookie along.
fn readable(headers: &HeaderMap, origin: &str) -> (bool, bool) {
    let told = |name: &str| headers.get(name).map(|value| value.to_str().expect("ASCII")).unwrap_or_default();
    let allowed = told("access-control-allow-origin");
    let trusted = allowed == origin && told("access-control-allow-credentials") == "true";
    // Whoever caches it must not give it to another origin.
    let vary: Vec<_> = headers.get_all("vary").iter().map(|value| value.to_str().expect("ASCII")).collect();
    assert!(allowed == "*" || vary.join(",").contains("origin"), "{headers:?}");
    (allowed == "*" || allowed == origin, trusted)
}

#[test]
fn any_page_may_read_what_is_everybodys_and_how_it_was_refused() {
    run(async {
        let settings = [
            ("PLYR_WEB_ORIGINS", LISTED),
            ("PLYR_RATE_READ", "1/hour"),
            ("PLYR_CLIENT_ADDRESS_HEADER", "x-caller"),
        ];
        let plyr = Plyr::up_with(network(), &settings).await;
        // Where nobody says who calls, nothing is counted.
        let cases = [
            ("/tracks/?limit=1", 200),
            ("/tracks/?limit=1", 200),
            ("/stats", 200),
            ("/health", 200),
            ("/tracks/1000000", 404),
            ("/audio/0123456789abcdef", 404),
            ("/nothing/at/all", 404),
            ("/tracks/one", 422),
            ("/auth/me", 401),
            ("/xrpc/fm.plyr.feed.getLatest", 200),
        ];
        for (path, status) in cases {
            for (origin, is_listed) in [(ELSEWHERE, false), ("null", false), (LISTED, true)] {
                let answer = ask(&plyr, Method::GET, path, origin, &[]).await;
                assert_eq!(answer.status().as_u16(), status, "{path}");
                let (may, trusted) = readable(answer.headers(), origin);
                // What knows no cookie trusts nobody with one.
                let knows_cookies = !["/xrpc", "/audio", "/health"].iter().any(|open| path.starts_with(open));
                assert_eq!((may, trusted), (true, is_listed && knows_cookies), "{path} from {origin}");
            }
        }
        for (path, status) in
            [("/tracks/tags", 200), ("/tracks/tags", 429), ("/xrpc/fm.plyr.feed.getTags", 429)]
        {
            let answer = ask(&plyr, Method::GET, path, ELSEWHERE, &[("x-caller", "9.9.9.9")]).await;
            assert_eq!(answer.status().as_u16(), status, "{path}");
            assert_eq!(readable(answer.headers(), ELSEWHERE), (true, false), "{path}");
            let exposed = answer.headers()["access-control-expose-headers"].to_str().expect("ASCII");
            assert!(exposed.contains("retry-after") && exposed.contains("ratelimit-reset"), "{exposed}");
        }
        // It may ask beforehand whether it may come with a token of its own.
        for (origin, is_listed) in [(ELSEWHERE, false), (LISTED, true)] {
            let wish = [
                ("access-control-request-method", "DELETE"),
                ("access-control-request-headers", "authorization"),
            ];
            let answer = ask(&plyr, Method::OPTIONS, "/tracks/1/like", origin, &wish).await;
            assert_eq!(answer.status(), 200);
            assert_eq!(readable(answer.headers(), origin), (true, is_listed));
            assert!(
                answer.headers()["access-control-allow-methods"].to_str().expect("ASCII").contains("DELETE")
            );
            assert_eq!(answer.headers()["access-control-allow-headers"], "authorization");
        }
        // What breaks here breaks no page's reading of it.
        plyr.db.run("drop table tag_count cascade").await;
        for path in ["/tracks/tags?q=a", "/xrpc/fm.plyr.feed.getTags?q=a"] {
            let answer = ask(&plyr, Method::GET, path, ELSEWHERE, &[]).await;
            assert_eq!(answer.status(), 500, "{path}");
            assert_eq!(readable(answer.headers(), ELSEWHERE), (true, false), "{path}");
        }
    });
}

#[test]
fn no_other_page_reads_what_a_cookie_shows() {
    run(async {
        let net = network();
        let plyr = Plyr::up_with(net, &[("PLYR_WEB_ORIGINS", LISTED)]).await;
        let person = Person::sign_in(&plyr, &Account::create(net, "shown").await).await;
        for path in ["/auth/me", "/tracks/?limit=1", "/tracks/liked", "/nothing/at/all"] {
            for (origin, is_listed) in [(ELSEWHERE, false), ("null", false), (LISTED, true)] {
                let request = person.agent.http.get(format!("{}{path}", plyr.url)).header("origin", origin);
                let answer = person.agent.send(request).await;
                assert_eq!(readable(&answer.headers, origin).1, is_listed, "{path} from {origin}: {answer}");
            }
        }
    });
}
