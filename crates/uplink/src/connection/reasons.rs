//! The broker's answers and the ends of connections, as MQTT 5's reason codes report them (MQTT 5, section 2.4).

use std::io;

use rumqttc::v5::mqttbytes::Error as PacketError;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, DisconnectReasonCode, PubAckReason};
use rumqttc::v5::{ConnectionError, StateError};

/// The broker's answer to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The broker accepted the message.
    Accepted,
    /// The broker accepted the message but dropped it, as nobody has subscribed.
    NoSubscriber,
    /// The device may not publish on this topic.
    NotAuthorised,
    /// The broker currently takes no more messages of any kind.
    Busy(String),
    /// The broker may take this message later.
    Later(String),
    /// The message itself is at fault.
    Unacceptable(String),
}

/// The reason why there is no connection, with a text for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The network failed, or the broker gave a reason that may pass.
    Broken(String),
    /// The broker closed the connection without a reason.
    Closed(String),
    /// The link was silent for too long.
    Dead(String),
    /// A new attempt is useless until somebody changes something.
    Refused(String),
    /// The device did something that it is not allowed to do.
    Denied(String),
    /// The broker rejects a message that was on its way.
    Unacceptable(String),
}

/// Code with which mosquitto acknowledges an event that exceeds its `message_size_limit`. MQTT 5 defines it for
/// DISCONNECT only, so the client library does not understand it and gives up the connection.
const PACKET_TOO_LARGE: u8 = 0x95;

/// Translates an acknowledgement's reason code.
pub fn answer(reason: PubAckReason) -> Answer {
    match reason {
        PubAckReason::Success => Answer::Accepted,
        PubAckReason::NoMatchingSubscribers => Answer::NoSubscriber,
        PubAckReason::NotAuthorized => Answer::NotAuthorised,
        PubAckReason::TopicNameInvalid => Answer::Unacceptable("the broker finds the topic invalid".to_owned()),
        PubAckReason::PayloadFormatInvalid => {
            Answer::Unacceptable("the broker finds the format of the payload invalid".to_owned())
        }
        PubAckReason::QuotaExceeded => Answer::Busy("the broker's quota is exceeded".to_owned()),
        PubAckReason::UnspecifiedError
        | PubAckReason::ImplementationSpecificError
        | PubAckReason::PacketIdentifierInUse => Answer::Later(format!("the broker refused an event: {reason:?}")),
    }
}

/// Translates the client library's error into the reason why the connection ended or was not established.
pub fn loss(error: &ConnectionError) -> Loss {
    match error {
        ConnectionError::ConnectionRefused(code) => refused(*code),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string }) => {
            disconnected(*reason_code, reason_string.as_deref())
        }
        ConnectionError::MqttState(StateError::Deserialization(PacketError::InvalidConnectReturnCode(
            PACKET_TOO_LARGE,
        ))) => Loss::Unacceptable("the broker finds an event too large".to_owned()),
        ConnectionError::MqttState(StateError::ConnectionAborted) => {
            Loss::Closed("the broker closed the connection".to_owned())
        }
        ConnectionError::MqttState(StateError::Io(error) | StateError::Deserialization(PacketError::Io(error))) => {
            broken(error)
        }
        ConnectionError::MqttState(state) => Loss::Broken(state_words(state)),
        ConnectionError::Timeout(_) => Loss::Broken("no answer from the broker in time".to_owned()),
        ConnectionError::Io(error) => broken(error),
        other => Loss::Broken(other.to_string()),
    }
}

/// Translates a socket's error. Even an end that TLS did not expect counts as a close.
fn broken(error: &io::Error) -> Loss {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Loss::Closed("the broker closed the connection".to_owned()),
        _ => Loss::Broken(error.to_string()),
    }
}

fn refused(code: ConnectReturnCode) -> Loss {
    use ConnectReturnCode::*;
    let final_reason = match code {
        NotAuthorized => "this device is not authorised; correct the broker's access list",
        BadUserNamePassword => "username or password is wrong; correct them in the settings or at the broker",
        Banned => "this device is banned",
        BadAuthenticationMethod => "it wants another way of authentication",
        ClientIdentifierNotValid | BadClientId => "it does not accept this device's client identifier",
        UnsupportedProtocolVersion | RefusedProtocolVersion => "it does not speak MQTT 5",
        RetainNotSupported => "it does not retain messages, which the device's status needs",
        QoSNotSupported => "it does not support QoS 1",
        UseAnotherServer | ServerMoved => "it has moved; correct the address in the settings",
        _ => return Loss::Broken(format!("the broker refused the connection: {code:?}")),
    };
    Loss::Refused(format!("the broker refused the connection: {final_reason}"))
}

fn disconnected(code: DisconnectReasonCode, reason: Option<&str>) -> Loss {
    use DisconnectReasonCode::*;
    // The text comes from a stranger: limit it to 200 characters and one line.
    let said: String = reason.unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
    let text = match said.is_empty() {
        true => format!("the broker ended the connection: {code:?}"),
        false => format!("the broker ended the connection: {code:?} ({said})"),
    };
    match code {
        SessionTakenOver => Loss::Refused(format!("{text}; another client uses this device's site and id")),
        NotAuthorized => Loss::Denied(format!("{text}; correct its access list")),
        RetainNotSupported | QoSNotSupported | UseAnotherServer | ServerMoved => Loss::Refused(text),
        PacketTooLarge | PayloadFormatInvalid | TopicNameInvalid => Loss::Unacceptable(text),
        _ => Loss::Broken(text),
    }
}

fn state_words(error: &StateError) -> String {
    match error {
        StateError::AwaitPingResp => "no answer to a ping".to_owned(),
        StateError::Unsolicited(packet) => format!("the broker acknowledged packet {packet}, which is not on its way"),
        StateError::Deserialization(error) => format!("the broker sent something that is not MQTT 5: {error}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_behaviour() {
        let lost = |code, said| disconnected(code, said);
        assert_eq!(answer(PubAckReason::Success), Answer::Accepted);
        assert_eq!(answer(PubAckReason::NotAuthorized), Answer::NotAuthorised);
        assert!(matches!(answer(PubAckReason::QuotaExceeded), Answer::Busy(_)));
        assert!(matches!(answer(PubAckReason::UnspecifiedError), Answer::Later(_)));
        assert!(matches!(answer(PubAckReason::PayloadFormatInvalid), Answer::Unacceptable(_)));
        assert!(
            matches!(refused(ConnectReturnCode::NotAuthorized), Loss::Refused(text) if text.contains("access list"))
        );
        assert!(matches!(refused(ConnectReturnCode::ServerBusy), Loss::Broken(_)));
        assert!(matches!(refused(ConnectReturnCode::QuotaExceeded), Loss::Broken(_)));
        assert!(matches!(lost(DisconnectReasonCode::PacketTooLarge, None), Loss::Unacceptable(_)));
        assert!(matches!(lost(DisconnectReasonCode::SessionTakenOver, None), Loss::Refused(_)));
        assert!(matches!(lost(DisconnectReasonCode::NotAuthorized, None), Loss::Denied(_)));
        let Loss::Broken(text) = lost(DisconnectReasonCode::ServerShuttingDown, Some("bye\x1b[31m\n")) else {
            panic!()
        };
        assert_eq!(text, "the broker ended the connection: ServerShuttingDown (bye[31m)");
    }
}
