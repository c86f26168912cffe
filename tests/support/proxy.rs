//! nginx (Debian package `nginx-light`) with TLS, as `deploy/nginx.conf` sets it up.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use ureq::http::Request;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, SendBody};

use super::{Authority, GOOD_YEARS, eventually, free_port};

/// A proxy in front of a device's page. It is stopped when this is dropped.
pub struct Proxy {
    nginx: Child,
    authority: Authority,
    port: u16,
    _dir: TempDir,
}

impl Proxy {
    /// Starts a proxy in front of this port.
    pub fn start(page: u16) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (authority, port) = (Authority::new(), free_port());
        let identity = authority.issue("unit", &["localhost"], GOOD_YEARS);
        let server = include_str!("../../deploy/nginx.conf");
        let own = [
            ("listen 443 ssl", format!("listen 127.0.0.1:{port} ssl")),
            ("server_name unit-1.local", "server_name localhost".to_owned()),
            ("/etc/ssl/certs/unit-1.pem", identity.certificate.display().to_string()),
            ("/etc/ssl/private/unit-1.key", identity.key.display().to_string()),
            ("http://127.0.0.1:8420", format!("http://127.0.0.1:{page}")),
        ];
        let server = own.iter().fold(server.to_owned(), |server, (from, to)| {
            assert!(server.contains(from), "{from}");
            server.replace(from, to)
        });
        let nginx = run(dir.path(), &server);
        eventually("nginx", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Proxy { nginx, authority, port, _dir: dir }
    }

    /// Asks through TLS and returns status, cookie and body.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String, String) {
        let pem = fs::read(&self.authority.certificate).expect("the authority");
        let certificates: Vec<_> = parse_pem(&pem)
            .filter_map(|item| match item.expect("PEM") {
                PemItem::Certificate(certificate) => Some(certificate),
                _ => None,
            })
            .collect();
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&certificates)).build();
        let agent: Agent = Agent::config_builder().tls_config(tls).http_status_as_error(false).build().into();
        let uri = format!("https://localhost:{}{path}", self.port);
        let mut request = Request::builder().method(method).uri(uri).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(SendBody::from_owned_reader(std::io::Cursor::new(body.to_owned())));
        let mut answer = agent.run(request.expect("a request")).expect("an answer");
        let cookie = answer.headers().get("set-cookie").map(|cookie| cookie.to_str().expect("text").to_owned());
        let mut text = String::new();
        answer.body_mut().as_reader().read_to_string(&mut text).expect("a body");
        (answer.status().as_u16(), cookie.unwrap_or_default(), text)
    }
}

fn run(dir: &Path, server: &str) -> Child {
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temp: String = kinds.iter().map(|kind| format!("{kind}_temp_path {}/{kind};\n", dir.display())).collect();
    let config = format!(
        "daemon off;\nmaster_process off;\npid {0}/pid;\nerror_log {0}/error.log;\nevents {{}}\n\
         http {{\naccess_log off;\n{temp}{server}}}\n",
        dir.display()
    );
    let path = dir.join("nginx.conf");
    fs::write(&path, config).expect("written");
    // Debian keeps nginx where only root looks.
    let search = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    let mut nginx = Command::new("nginx");
    nginx.env("PATH", search).arg("-c").arg(path).arg("-p").arg(dir).stderr(Stdio::null());
    nginx.spawn().expect("nginx (Debian package nginx-light)")
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.nginx.kill();
        let _ = self.nginx.wait();
    }
}
