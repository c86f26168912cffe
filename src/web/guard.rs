//! Checks of every request before it reaches its handler, and headers of every answer.
//!
//! A page of another site must not use this one with its visitor's rights. Such a page can be served under a host name
//! that later resolves to the device's address (DNS rebinding), so the device answers only to addresses, `localhost`
//! and configured names. It can also send requests across sites (CSRF), so requests to the API must come from the
//! device's own origin, and browsers never send the cookie along from another site.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::access::{Access, Role, Visitor};
use super::attempts::subscriber;
use super::crowd::Crowd;
use super::forwarded::{Network, came_through_a_proxy, is_secure, origin};
use super::params::Params;
use super::problem::Problem;
use super::server::Peer;
use super::while_known::WhileKnown;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Name of the cookie that carries a visitor's token.
pub const COOKIE: &str = "bridgeclip";

/// Policy that allows only the page's own files, no inline scripts, and no frame around the page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
     connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Headers of every answer.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "geolocation=(), microphone=()"),
];

/// Maximum number of strangers' requests with a body (pairing attempts) that are under way at once. One more replaces
/// another.
const STRANGERS_MAX: usize = 32;
/// Maximum number of strangers' requests with a body that are under way from one address.
const STRANGERS_PER_ADDRESS: usize = 4;
/// Time limit for a stranger's request to be complete.
pub const STRANGER_TIME_MAX: Duration = Duration::from_secs(10);

/// Rules by which requests are admitted.
pub struct Guard {
    pub access: Arc<Access>,
    /// Names of this device, in lower case.
    pub hosts: Vec<String>,
    pub trusted_proxies: Vec<Network>,
    /// Whether viewers may export files.
    pub viewers_export: bool,
    strangers: Crowd,
}

/// Origin of a request, as far as its headers can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    pub address: IpAddr,
    /// Whether the browser used TLS to reach the proxy.
    pub is_secure: bool,
}

pub async fn guard(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let mut response = match guard.admit(&request) {
        Ok((origin, visitor)) => {
            request.extensions_mut().insert(origin);
            match visitor {
                Some(visitor) => guard.serve(visitor, request, next).await,
                None => guard.serve_stranger(origin, request, next).await,
            }
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
    pub fn new(access: Arc<Access>, params: &Params) -> Self {
        let Params { hosts, trusted_proxies, viewers_export, .. } = params;
        Guard {
            access,
            hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            trusted_proxies: trusted_proxies.clone(),
            viewers_export: *viewers_export,
            strangers: Crowd::new(STRANGERS_MAX),
        }
    }

    /// Returns the request's origin and visitor, if the visitor's role allows the request. The visitor is `None` for
    /// strangers.
    fn admit(&self, request: &Request) -> Result<(Origin, Option<Visitor>), Problem> {
        let (headers, path) = (request.headers(), request.uri().path());
        let peer = request.extensions().get::<Peer>();
        let peer = peer.ok_or_else(|| Problem::fault("a request that came through no door"))?;
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        self.check_host(host)?;
        if is_change(request.method()) {
            check_origin(headers, host)?;
        }
        if !is_page(path) {
            check_site(headers)?;
        }
        let origin = self.origin(peer, headers);
        let visitor = match peer.is_here {
            true => Some(visitor_here(headers)?),
            false => token(headers).and_then(|token| self.access.visitor(&token, origin.address)),
        };
        peer.seat.note(visitor.is_some());
        self.check_role(request.method(), path, visitor.as_ref())?;
        Ok((origin, visitor))
    }

    fn origin(&self, peer: &Peer, headers: &HeaderMap) -> Origin {
        match peer.is_trusted_proxy {
            true => {
                Origin { address: origin(headers, peer.address, &self.trusted_proxies), is_secure: is_secure(headers) }
            }
            false => Origin { address: peer.address, is_secure: false },
        }
    }

    fn check_role(&self, method: &Method, path: &str, visitor: Option<&Visitor>) -> Result<(), Problem> {
        match (self.needed(method, path), visitor) {
            (None, _) => Ok(()),
            (Some(_), None) => {
                Err(Problem::new(StatusCode::UNAUTHORIZED, "enter the code that the device shows: `bridgeclip pair`"))
            }
            (Some(role), Some(visitor)) if visitor.role < role => {
                Err(Problem::new(StatusCode::FORBIDDEN, "this needs an inspector; you were let in as a viewer"))
            }
            (Some(_), Some(_)) => Ok(()),
        }
    }

    /// Returns the role that a request needs; `None` for the page itself and for pairing.
    fn needed(&self, method: &Method, path: &str) -> Option<Role> {
        match path {
            "/api/v1/session" | "/api/v1/openapi.json" => None,
            _ if is_page(path) && !is_change(method) => None,
            _ if is_change(method) || path.starts_with("/api/v1/visitors") => Some(Role::Inspector),
            "/api/v1/export" if !self.viewers_export => Some(Role::Inspector),
            _ => Some(Role::Viewer),
        }
    }

    async fn serve(&self, visitor: Visitor, mut request: Request, next: Next) -> Response {
        let id = visitor.id.clone();
        request.extensions_mut().insert(visitor);
        let response = next.run(request).await;
        let Some(id) = id.filter(|_| response.body().size_hint().exact().is_none()) else { return response };
        let access = Arc::clone(&self.access);
        response.map(|body| Body::new(WhileKnown::new(body, async move { access.ended(&id).await })))
    }

    async fn serve_stranger(&self, origin: Origin, request: Request, next: Next) -> Response {
        if !is_change(request.method()) {
            return next.run(request).await;
        }
        let busy = || Problem::busy("too many have come at once", 5).into_response();
        let place = self.strangers.enter(subscriber(origin.address), STRANGERS_PER_ADDRESS, false);
        let Some(place) = place else { return busy() };
        let late = || Problem::new(StatusCode::REQUEST_TIMEOUT, "the request took too long").into_response();
        tokio::select! {
            response = next.run(request) => response,
            () = place.seat.gone() => busy(),
            () = tokio::time::sleep(STRANGER_TIME_MAX) => late(),
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

/// Returns the host name without its port.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_change(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Reports whether the path belongs to the page itself, which everybody may see.
fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with("/page/")
}

/// Returns the visitor at the device itself. Refuses requests that came through a proxy, because a proxy at this door
/// would make all its clients people at the device.
fn visitor_here(headers: &HeaderMap) -> Result<Visitor, Problem> {
    match came_through_a_proxy(headers) {
        false => Ok(Visitor::here()),
        true => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "this door is for people at the device; point the proxy at [web] listen and name it in trusted_proxies",
        )),
    }
}

/// Refuses requests that a browser marks as made by another site's page, even those that only read: answering them
/// costs the device work.
fn check_site(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(foreign()),
    }
}

fn foreign() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "the request comes from another site's page")
}

/// Refuses changes from another origin. Browsers name the origin of every request that changes something; other
/// programs name none.
fn check_origin(headers: &HeaderMap, host: &str) -> Result<(), Problem> {
    check_site(headers)?;
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or("?");
    let own = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    if own.is_some_and(|own| own.eq_ignore_ascii_case(host)) { Ok(()) } else { Err(foreign()) }
}

/// Reads the visitor's token from the header that programs send, or else from the cookie.
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
    use crate::web::access::tests::access;

    fn request(method: Method, path: &str, headers: &[(&str, &str)], peer: Peer) -> Request {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.extension(peer).body(axum::body::Body::empty()).expect("a request")
    }

    fn guard() -> (tempfile::TempDir, Guard) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let access = Arc::new(access(dir.path()));
        let params = Params {
            socket: "api.sock".into(),
            listen: None,
            listen_here: None,
            hosts: vec!["Unit-7.local".to_owned()],
            trusted_proxies: vec!["10.0.0.0/8".parse().expect("a network")],
            viewers_export: false,
        };
        (dir, Guard::new(access, &params))
    }

    /// Returns a peer with this address, which is a trusted proxy if it is in the network `10.0.0.0/8`.
    fn peer(address: &str, is_here: bool) -> Peer {
        let (address, crowd) = (address.parse().expect("an address"), Crowd::new(1));
        let is_trusted_proxy = !is_here && address_of(10) == address;
        let seat = Arc::clone(&crowd.enter(address, 1, is_trusted_proxy).expect("a place").seat);
        Peer { is_here, is_trusted_proxy, address, seat }
    }

    fn address_of(first: u8) -> IpAddr {
        IpAddr::from([first, 0, 0, 9])
    }

    fn far() -> Peer {
        peer("192.0.2.9", false)
    }

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
            let request = request(Method::GET, "/", &[("host", host)], far());
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
            let request = request(Method::POST, "/api/v1/photos", &headers, peer("127.0.0.1", true));
            assert_eq!(guard.admit(&request).is_ok(), expected, "{headers:?}");
        }
    }

    #[test]
    fn strangers_see_the_page_viewers_look_and_inspectors_act() {
        let (_dir, guard) = guard();
        let name = || "A. Sato".parse().expect("a name");
        let token = |role| {
            let code = guard.access.new_code(role).expect("a code");
            guard.access.pair(&code, name(), address_of(10)).expect("the code").expect("stored").0
        };
        let (viewer, inspector) = (token(Role::Viewer), token(Role::Inspector));
        let status = |method: Method, path: &str, token: &str| {
            let cookie = format!("other=1; {COOKIE}={token}");
            let request = request(method, path, &[("host", "10.0.0.1"), ("cookie", &cookie)], far());
            guard.admit(&request).map_or_else(|problem| problem.status.as_u16(), |_| 200)
        };
        for (method, path, expected) in [
            (Method::GET, "/", [200, 200, 200]),
            (Method::GET, "/page/page.js", [200, 200, 200]),
            (Method::POST, "/api/v1/session", [200, 200, 200]),
            (Method::GET, "/api/v1/captures", [401, 200, 200]),
            (Method::GET, "/metrics", [401, 200, 200]),
            (Method::POST, "/api/v1/photos", [401, 403, 200]),
            (Method::GET, "/api/v1/export", [401, 403, 200]),
            (Method::GET, "/api/v1/visitors", [401, 403, 200]),
            (Method::DELETE, "/api/v1/visitors/0", [401, 403, 200]),
            (Method::DELETE, "/page", [401, 403, 200]),
        ] {
            assert_eq!(
                ["no token", &viewer, &inspector].map(|token| status(method.clone(), path, token)),
                expected,
                "{path}"
            );
        }
        let bearer = format!("Bearer {viewer}");
        let request = request(Method::GET, "/metrics", &[("host", "10.0.0.1"), ("authorization", &bearer)], far());
        assert!(guard.admit(&request).is_ok());
    }

    #[test]
    fn a_proxy_makes_nobody_a_person_at_the_device() {
        let (_dir, guard) = guard();
        let ask = |headers: &[(&str, &str)], peer: Peer| {
            let headers = [&[("host", "10.0.0.1")], headers].concat();
            guard.admit(&request(Method::GET, "/api/v1/session", &headers, peer))
        };
        let (here, visitor) = ask(&[], peer("127.0.0.1", true)).expect("at the device");
        assert_eq!((here.address, visitor), ("127.0.0.1".parse().expect("an address"), Some(Visitor::here())));
        for sign in ["x-forwarded-for", "x-forwarded-proto", "forwarded", "via", "x-real-ip"] {
            assert!(ask(&[(sign, "192.0.2.7")], peer("127.0.0.1", true)).is_err(), "{sign}");
        }
        let forwarded = [("x-forwarded-for", "192.0.2.7"), ("x-forwarded-proto", "https")];
        let (origin, visitor) = ask(&forwarded, peer("10.0.0.9", false)).expect("the page");
        assert_eq!((origin.address, origin.is_secure, visitor), (IpAddr::from([192, 0, 2, 7]), true, None));
        let (origin, visitor) = ask(&forwarded, peer("127.0.0.1", false)).expect("the page");
        assert_eq!((origin.address, origin.is_secure, visitor), (IpAddr::from([127, 0, 0, 1]), false, None));
    }
}
