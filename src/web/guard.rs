//! What every request passes before it reaches its handler, and what every answer carries.
//!
//! A page that a browser shows from elsewhere must not use this one with its visitor's rights. Such a page can name a host
//! of its own whose address it changes to the device's (DNS rebinding): so only addresses, `localhost` and configured
//! names are answered. It can send requests across (CSRF): so what changes something must come from the own origin, and
//! the cookie is never sent along from another site.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use super::access::{Access, Role, Visitor};
use super::problem::Problem;
use super::server::Peer;

/// The cookie that carries a visitor's token.
pub const COOKIE: &str = "bridgeclip";

/// Only the own files, no inline script, nobody may put the page into a frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
     connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Of every answer.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "geolocation=(), microphone=()"),
];

/// What requests are judged by.
#[derive(Debug)]
pub struct Guard {
    pub access: Arc<Access>,
    /// Names of this device, in lower case.
    pub hosts: Vec<String>,
}

/// The token that a visitor carries.
#[derive(Clone, Debug)]
pub struct Token(pub String);

pub async fn guard(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let mut response = match guard.admit(&request) {
        Ok(visitor) => {
            if let Some(token) = token(request.headers()) {
                request.extensions_mut().insert(Token(token));
            }
            if let Some(visitor) = visitor {
                request.extensions_mut().insert(visitor);
            }
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

impl Guard {
    /// Who asks, if that is known and they may.
    fn admit(&self, request: &Request) -> Result<Option<Visitor>, Problem> {
        let peer = request.extensions().get::<Peer>().copied();
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        self.check_host(host)?;
        if is_change(request.method()) {
            check_origin(request.headers(), host)?;
        }
        let visitor = match peer {
            Some(Peer::Here) => Some(Visitor { role: Role::Inspector, name: None, is_here: true }),
            _ => token(request.headers()).and_then(|token| self.access.visitor(&token, Timestamp::now())),
        };
        match (needed(request.method(), request.uri().path()), &visitor) {
            (None, _) => Ok(visitor),
            (Some(_), None) => {
                Err(Problem::new(StatusCode::UNAUTHORIZED, "enter the code that the device shows: `bridgeclip pair`"))
            }
            (Some(role), Some(visitor)) if visitor.role < role => {
                Err(Problem::new(StatusCode::FORBIDDEN, "this needs an inspector; you were let in as a viewer"))
            }
            (Some(_), Some(_)) => Ok(visitor),
        }
    }

    fn check_host(&self, host: &str) -> Result<(), Problem> {
        let name = host_name(host).to_ascii_lowercase();
        let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        match is_address || name == "localhost" || self.hosts.contains(&name) {
            true => Ok(()),
            false => Err(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                format!("this device is not called `{name}`; use its address, or add the name to [web] hosts"),
            )),
        }
    }
}

/// Without the port.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_change(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Browsers name the origin of every request that changes something; other programs name none.
fn check_origin(headers: &HeaderMap, host: &str) -> Result<(), Problem> {
    let foreign = || Problem::new(StatusCode::FORBIDDEN, "the request comes from another site's page");
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = text(&HeaderName::from_static("sec-fetch-site"));
    if site.is_some_and(|site| !["same-origin", "none"].contains(&site)) {
        return Err(foreign());
    }
    let Some(origin) = text(&header::ORIGIN) else { return Ok(()) };
    let own = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    if own.is_some_and(|own| own.eq_ignore_ascii_case(host)) { Ok(()) } else { Err(foreign()) }
}

/// What a request needs; `None` for the page itself and for the way in.
fn needed(method: &Method, path: &str) -> Option<Role> {
    match path {
        "/" | "/api/v1/session" | "/api/v1/openapi.json" => None,
        _ if path.starts_with("/page/") => None,
        _ if is_change(method) => Some(Role::Inspector),
        _ => Some(Role::Viewer),
    }
}

/// From the cookie, or from the header that programs send.
fn token(headers: &HeaderMap) -> Option<String> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let cookie = pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value);
    bearer.or(cookie).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: Method, path: &str, headers: &[(&str, &str)], peer: Peer) -> Request {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.extension(peer).body(axum::body::Body::empty()).expect("a request")
    }

    fn guard() -> (tempfile::TempDir, Guard) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let access = Arc::new(Access::open(dir.path()));
        (dir, Guard { access, hosts: vec!["unit-7.local".to_owned()] })
    }

    const FAR: Peer = Peer::Network(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9)));

    #[test]
    fn only_own_names_are_answered() {
        let (_dir, guard) = guard();
        let cases = [
            ("10.0.0.1:8420", true),
            ("[fe80::1]:8420", true),
            ("[fe80::1]", true),
            ("localhost", true),
            ("LOCALHOST:8420", true),
            ("unit-7.local:8420", true),
            ("evil.example", false),
            ("evil.example:8420", false),
            ("10.0.0.1.evil.example", false),
            ("", false),
        ];
        for (host, expected) in cases {
            let request = request(Method::GET, "/", &[("host", host)], FAR);
            assert_eq!(guard.admit(&request).is_ok(), expected, "{host}");
        }
    }

    #[test]
    fn changes_come_from_the_own_page_alone() {
        let (_dir, guard) = guard();
        let cases: [(&[(&str, &str)], bool); 6] = [
            (&[], true),
            (&[("origin", "http://10.0.0.1:8420"), ("sec-fetch-site", "same-origin")], true),
            (&[("origin", "http://10.0.0.1")], false),
            (&[("origin", "http://evil.example")], false),
            (&[("origin", "null")], false),
            (&[("sec-fetch-site", "cross-site")], false),
        ];
        for (headers, expected) in cases {
            let headers = [&[("host", "10.0.0.1:8420")], headers].concat();
            let request = request(Method::POST, "/api/v1/photos", &headers, Peer::Here);
            assert_eq!(guard.admit(&request).is_ok(), expected, "{headers:?}");
        }
    }

    #[test]
    fn strangers_see_the_page_viewers_look_and_inspectors_act() {
        let (_dir, guard) = guard();
        let name = || "A. Sato".parse().expect("a name");
        let token = |role| {
            let code = guard.access.new_code(role).expect("a code");
            guard.access.pair(&code, name(), Timestamp::now()).expect("the code").expect("stored").0
        };
        let (viewer, inspector) = (token(Role::Viewer), token(Role::Inspector));
        let status = |method: Method, path: &str, token: &str| {
            let cookie = format!("other=1; {COOKIE}={token}");
            let request = request(method, path, &[("host", "10.0.0.1"), ("cookie", &cookie)], FAR);
            guard.admit(&request).map_or_else(|problem| problem.status.as_u16(), |_| 200)
        };
        for (method, path, expected) in [
            (Method::GET, "/", [200, 200, 200]),
            (Method::GET, "/page/page.js", [200, 200, 200]),
            (Method::POST, "/api/v1/session", [200, 200, 200]),
            (Method::GET, "/api/v1/captures", [401, 200, 200]),
            (Method::GET, "/metrics", [401, 200, 200]),
            (Method::POST, "/api/v1/photos", [401, 403, 200]),
            (Method::DELETE, "/page", [401, 403, 200]),
        ] {
            assert_eq!(
                ["no token", &viewer, &inspector].map(|token| status(method.clone(), path, token)),
                expected,
                "{path}"
            );
        }
        let bearer = format!("Bearer {viewer}");
        let request = request(Method::GET, "/metrics", &[("host", "10.0.0.1"), ("authorization", &bearer)], FAR);
        assert!(guard.admit(&request).is_ok());
    }
}
