//! Checks the connection to the broker, and what the device publishes there.

use super::finding::{Finding, State};
use crate::assembly::{command_key, login, tls};

use crate::config::{Broker, Config, Mqtt};
use crate::uplink::{ProbeError, SecretError, probe};

pub fn findings(config: &Config) -> Vec<Finding> {
    let Some(mqtt) = &config.mqtt else {
        return vec![Finding::new("broker", State::Ok, "none: results stay on the device".to_owned())];
    };
    let mut findings = vec![broker(mqtt)];
    findings.extend(password(mqtt));
    findings.extend(config.commands.as_ref().map(|commands| {
        match command_key(commands) {
            Ok(_) => {
                Finding::new("commands", State::Ok, "carried out if signed with the key in the settings".to_owned())
            }
            Err(error) => Finding::new("commands", State::Error, format!("{error:#}"))
                .remedy("give the public key that `bridgeclip command keygen` printed".to_owned()),
        }
    }));
    findings
}

/// Checks that the broker answers and has the expected identity.
fn broker(mqtt: &Mqtt) -> Finding {
    let Broker { host, port } = &mqtt.broker;
    let finding = |state, text: &str| Finding::new("broker", state, format!("{host}:{port}: {text}"));
    let tls = match tls(mqtt) {
        Ok(tls) => tls,
        Err(error) => {
            return finding(State::Error, &error.to_string()).remedy("mend the section [mqtt.tls]".to_owned());
        }
    };
    match probe(host, *port, tls.as_ref()) {
        Ok(address) if tls.is_some() => finding(State::Ok, &format!("{address} answers, its certificate is good")),
        Ok(address) => finding(State::Ok, &format!("{address} answers")),
        Err(ProbeError::Unreachable(reason)) => finding(State::Warning, &reason)
            .remedy("look at the network, the name and the broker; events wait meanwhile".to_owned()),
        Err(ProbeError::Refused(reason)) => {
            finding(State::Error, &reason).remedy("mend the certificates, or the section [mqtt.tls]".to_owned())
        }
    }
}

fn password(mqtt: &Mqtt) -> Option<Finding> {
    let username = mqtt.username.as_deref()?;
    let finding = |state, text: String| Finding::new("login", state, format!("{username}: {text}"));
    Some(match login(mqtt) {
        Ok(Some(login)) if login.password.is_some() => finding(State::Ok, "the password can be read".to_owned()),
        Ok(_) => finding(State::Ok, "without a password".to_owned()),
        Err(SecretError::NoCredentials(name)) => {
            finding(State::Ok, format!("systemd gives the credential {name} to the daemon alone"))
        }
        Err(error) => finding(State::Error, error.to_string())
            .remedy("write the password into that file, for the daemon's user alone".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::TcpListener;

    use super::*;

    fn states(settings: &str) -> Vec<(&'static str, State)> {
        let head =
            "[device]\nsite = \"s\"\nid = \"d\"\ndata_dir = \"d\"\n[package]\ndir = \"p\"\n[intake]\nfolders = []\n";
        let config = Config::parse(&format!("{head}{settings}")).expect("settings");
        findings(&config).iter().map(|finding| (finding.name, finding.state)).collect()
    }

    #[test]
    fn a_broker_answers_or_is_away_or_cannot_be_trusted() {
        assert_eq!(states(""), [("broker", State::Ok)]);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let settings = format!("[mqtt]\nbroker = \"{}\"\n", listener.local_addr().expect("an address"));
        assert_eq!(states(&settings), [("broker", State::Ok)]);
        let tls = format!("{settings}[mqtt.tls]\nca_file = \"/missing.pem\"\n");
        assert_eq!(states(&tls), [("broker", State::Error)]);
        drop(listener);
        assert_eq!(states(&settings), [("broker", State::Warning)]);
    }

    #[test]
    fn a_password_or_a_key_that_cannot_be_used_is_told() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("password");
        let settings = format!(
            "[mqtt]\nbroker = \"127.0.0.1:1\"\nusername = \"u\"\npassword_file = {path:?}\n[commands]\npublic_key = \"x\"\n"
        );
        let expected = [("broker", State::Warning), ("login", State::Error), ("commands", State::Error)];
        assert_eq!(states(&settings), expected);
        fs::write(&path, "secret").expect("write");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("a mode");
        assert_eq!(states(&settings)[1], ("login", State::Ok));
    }
}
