//! Finds out whether NTP keeps the wall clock. The kernel knows, but only reports it through a system call that no safe
//! library wraps. So the programs that set the clock are asked.

use std::path::Path;
use std::process::{Command, Stdio};

/// File that systemd-timesyncd creates when it has set the clock. It is gone after a restart of the machine.
const TIMESYNCD: &str = "/run/systemd/timesync/synchronized";
/// File that exists while chronyd runs.
const CHRONYD: &str = "/run/chrony/chronyd.pid";

/// Time in nanoseconds for which an answer is reused.
const ASK_AGAIN_NS: u64 = 60_000_000_000;

/// Query for NTP that remembers the last answer.
#[derive(Debug, Default)]
pub struct Ntp {
    /// Monotonic time of the last query, and its answer.
    asked: Option<(u64, bool)>,
}

impl Ntp {
    /// Reports whether NTP keeps the wall clock. Asks again if the last answer is a minute old; `now_ns` is monotonic.
    pub fn is_synchronised(&mut self, now_ns: u64) -> bool {
        match self.asked {
            Some((at_ns, answer)) if now_ns.saturating_sub(at_ns) < ASK_AGAIN_NS => answer,
            _ => {
                let answer = ask();
                self.asked = Some((now_ns, answer));
                answer
            }
        }
    }
}

fn ask() -> bool {
    Path::new(TIMESYNCD).exists() || (Path::new(CHRONYD).exists() && ask_chrony())
}

fn ask_chrony() -> bool {
    let mut chronyc = Command::new("chronyc");
    chronyc.args(["-n", "-c", "tracking"]).stdin(Stdio::null()).stderr(Stdio::null());
    chronyc.output().is_ok_and(|output| chrony_is_synchronised(&String::from_utf8_lossy(&output.stdout)))
}

/// Parses the output of `chronyc -c tracking`: reference id, name, stratum, ..., leap status. The reference 7F7F0101 is
/// the local clock itself.
fn chrony_is_synchronised(tracking: &str) -> bool {
    let fields: Vec<&str> = tracking.trim().split(',').collect();
    match (fields.first(), fields.last()) {
        (Some(reference), Some(leap)) if fields.len() == 14 => *reference != "7F7F0101" && *leap != "Not synchronised",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chrony_is_understood() {
        let cases = [
            (
                "C0A80101,10.0.0.1,3,1795564800.1,0.000012,-0.00001,0.00002,-1.2,0.001,0.03,0.01,0.0005,64.2,Normal\n",
                true,
            ),
            ("47505300,GPS,1,1795564800.1,0.0,0.0,0.0,-1.2,0.001,0.03,0.0,0.0005,16.0,Insert second\n", true),
            ("00000000,,0,0.0,0.0,0.0,0.0,-1.2,0.0,0.0,1.0,1.0,0.0,Not synchronised\n", false),
            ("7F7F0101,127.127.1.1,10,1795564800.1,0.0,0.0,0.0,-1.2,0.0,0.0,0.0,0.0,0.0,Normal\n", false),
            ("506 Cannot talk to daemon\n", false),
            ("", false),
        ];
        for (tracking, expected) in cases {
            assert_eq!(chrony_is_synchronised(tracking), expected, "{tracking}");
        }
    }

    #[test]
    fn an_answer_is_kept_for_a_minute() {
        let mut ntp = Ntp { asked: Some((ASK_AGAIN_NS, true)) };
        assert!(ntp.is_synchronised(2 * ASK_AGAIN_NS - 1));
        assert_eq!(ntp.is_synchronised(2 * ASK_AGAIN_NS), ask());
    }
}
