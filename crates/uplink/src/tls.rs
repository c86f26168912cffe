//! TLS: whom the device accepts as the broker, how it identifies itself, and what went wrong, in words. Only this
//! module names the TLS library.
//!
//! The device always verifies the broker; no setting turns that off.

use std::fs::File;
use std::io::{self, Read};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, ClientConfig, ClientConnection, Error, RootCertStore, Stream};

use crate::secret::{SecretError, read_secret};

/// Configuration of TLS connections: accepted authorities, and the device's own certificate.
pub type Tls = Arc<ClientConfig>;

/// Paths of the files for TLS, all in PEM form.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// Certificates of the authorities that may vouch for the broker; `None` means the system's.
    pub ca: Option<PathBuf>,
    /// The device's own certificate with its chain, and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// The reason why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: cannot read: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file contains no usable certificate.
    #[error("{}: no certificate in PEM form in it ({reason})", path.display())]
    NoCertificate { path: PathBuf, reason: String },
    /// A file contains no private key.
    #[error("{}: no private key in PEM form in it", path.display())]
    NoKey { path: PathBuf },
    /// The file with the private key cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The system has no certificate authorities.
    #[error("this system has no certificate authorities; install ca-certificates or set mqtt.tls.ca_file")]
    NoSystemCertificates,
    /// The broker's host cannot be the name in a certificate.
    #[error("`{0}` cannot be the name in a certificate; give the broker's host name or its IPv4 address")]
    Host(String),
    /// Certificate and key do not fit each other, or are not supported.
    #[error("{}: not usable with {}: {source}", certificate.display(), key.display())]
    Client { certificate: PathBuf, key: PathBuf, source: Error },
}

/// Maximum number of bytes read from a file; the system's authorities take some 250 KB.
const FILE_BYTES_MAX: u64 = 4_000_000;

/// Reads the files, and checks that they are usable for a broker on this host.
pub fn client_config(host: &str, files: &TlsFiles) -> Result<Tls, TlsError> {
    if ServerName::try_from(host).is_err() {
        return Err(TlsError::Host(host.to_owned()));
    }
    let roots = match &files.ca {
        Some(path) => roots_of(path)?,
        None => system_roots()?,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the ciphers of TLS 1.2 and 1.3")
        .with_root_certificates(roots);
    let config = match &files.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
            .map_err(|source| TlsError::Client { certificate: certificate.clone(), key: key.clone(), source })?,
    };
    Ok(Arc::new(config))
}

fn roots_of(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| no_certificate(path, &error))?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 { Err(TlsError::NoSystemCertificates) } else { Ok(roots) }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| no_certificate(path, &error))?;
    match certificates.is_empty() {
        true => Err(no_certificate(path, &"a certificate begins with -----BEGIN CERTIFICATE-----")),
        false => Ok(certificates),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let secret = read_secret(path)?;
    PrivateKeyDer::from_pem_slice(secret.expose().as_bytes()).map_err(|_| TlsError::NoKey { path: path.to_owned() })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn no_certificate(path: &Path, reason: &impl ToString) -> TlsError {
    TlsError::NoCertificate { path: path.to_owned(), reason: reason.to_string() }
}

/// Completes a handshake, in which both sides verify each other, and closes the session.
pub fn shake_hands(tls: &Tls, host: &str, mut stream: TcpStream) -> io::Result<()> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let mut session = ClientConnection::new(Arc::clone(tls), name).map_err(io::Error::other)?;
    while session.is_handshaking() {
        session.complete_io(&mut stream)?;
    }
    session.send_close_notify();
    // Under TLS 1.3, a server rejects the client's certificate only after the handshake.
    match Stream::new(&mut session, &mut stream).read(&mut [0]) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::UnexpectedEof) => Err(error),
        _ => Ok(()),
    }
}

/// Returns TLS's complaint in words, or `None` if the error is not one of TLS.
pub fn explain(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(match error {
        Error::InvalidCertificate(error) => certificate_words(error),
        Error::InvalidMessage(_) => "the broker does not speak TLS on this port; it may expect plain text".to_owned(),
        Error::AlertReceived(alert) => format!("the broker refused the TLS connection: {}", alert_words(*alert)),
        other => format!("TLS failed: {other}"),
    })
}

fn certificate_words(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired => "the broker's certificate has expired".to_owned(),
        CertificateError::ExpiredContext { time, not_after } => {
            format!("the broker's certificate has expired at {}; it is {} here", utc(*not_after), utc(*time))
        }
        CertificateError::NotValidYet => "the broker's certificate is not valid yet".to_owned(),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "the broker's certificate is valid from {} on; it is {} here, or this device's clock is wrong",
            utc(*not_before),
            utc(*time)
        ),
        CertificateError::UnknownIssuer => "the broker's certificate is self-signed, or its issuer is unknown here; \
             mqtt.tls.ca_file must hold the issuer's certificate"
            .to_owned(),
        CertificateError::BadSignature => "the broker's certificate is not signed by the issuer that it names, or \
             mqtt.tls.ca_file holds another certificate of that issuer"
            .to_owned(),
        CertificateError::NotValidForName => "the broker's certificate is for another host".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names = if presented.is_empty() { "no host at all".to_owned() } else { presented.join(", ") };
            format!("the broker's certificate is for another host: {names} instead of {}", expected.to_str())
        }
        CertificateError::Revoked => "the broker's certificate is revoked".to_owned(),
        other => format!("the broker's certificate is not acceptable: {other}"),
    }
}

fn alert_words(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => {
            "it wants a certificate of this device; set client_cert_file and client_key_file".to_owned()
        }
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::DecryptError => format!("it does not accept this device's certificate ({alert:?})"),
        AlertDescription::CertificateExpired => "this device's certificate has expired".to_owned(),
        AlertDescription::CertificateRevoked => "this device's certificate is revoked".to_owned(),
        other => format!("{other:?}"),
    }
}

fn utc(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()).map_or("?".to_owned(), |time| time.to_string())
}
