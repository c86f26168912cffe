//! A certificate authority for tests.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;

/// A certificate authority and the folder with its files.
pub struct Authority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
    /// The authority's own certificate, in PEM form.
    pub certificate: PathBuf,
}

/// A certificate and its key, each as a file in PEM form.
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Authorities of the same name would be confused with one another until the signature is checked.
        params.distinguished_name.push(DnType::CommonName, format!("authority {}", dir.path().display()));
        let key = KeyPair::generate().expect("a key");
        let certificate = dir.path().join("ca.pem");
        fs::write(&certificate, params.self_signed(&key).expect("a certificate").pem()).expect("write");
        Authority { dir, issuer: Issuer::new(params, key), certificate }
    }

    /// Issues a certificate for these host names, valid from the start of one year to the start of another.
    pub fn issue(&self, name: &str, hosts: &[&str], years: (i32, i32)) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let params = params(name, hosts, years);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        self.write(name, &certificate, &key)
    }

    /// Makes a certificate that nobody vouches for.
    pub fn self_signed(&self, name: &str, hosts: &[&str]) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = params(name, hosts, GOOD_YEARS).self_signed(&key).expect("a certificate").pem();
        self.write(name, &certificate, &key)
    }

    fn write(&self, name: &str, certificate: &str, key: &KeyPair) -> Identity {
        let path = |suffix: &str| self.dir.path().join(format!("{name}.{suffix}"));
        write_secret(&path("key"), &key.serialize_pem());
        fs::write(path("pem"), certificate).expect("write");
        Identity { certificate: path("pem"), key: path("key") }
    }
}

/// First and last year of a valid certificate; the present is between them.
pub const GOOD_YEARS: (i32, i32) = (2020, 2095);

fn params(name: &str, hosts: &[&str], (from, to): (i32, i32)) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(hosts).expect("host names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    params
}

/// Writes a file that only its owner may read.
pub fn write_secret(path: &Path, text: &str) {
    fs::write(path, text).expect("write");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a mode");
}
