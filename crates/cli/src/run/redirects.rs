//! Where programs wanted packets to go, counted and named, and with `--send` what came of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value as Json, json};
use skep::forward::Forwarded;
use skep::spec::{Errno, Redirect, RedirectTo};

/// Packets by where they were to go, from whichever thread.
#[derive(Clone, Debug, Default)]
pub struct Redirects(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    counts: BTreeMap<String, (Redirect, u64)>,
    /// Numbers of interfaces are those of this process's network namespace.
    named: bool,
    /// What came of packets, where they are sent.
    sent: Option<Sent>,
}

/// Sums of [`Forwarded`].
#[derive(Clone, Debug, Default)]
struct Sent {
    frames: u64,
    passed: u64,
    dropped: u64,
    /// Frames that were not sent, by the reason.
    failed: BTreeMap<Errno, u64>,
}

impl Redirects {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on interfaces have the names that they have here.
    pub fn name_interfaces(&self) {
        self.lock().named = true;
    }

    /// Counts a packet.
    pub fn count(&self, redirect: &Redirect) {
        let mut inner = self.lock();
        let mut text = redirect.to_string();
        let one = !matches!(redirect.to, RedirectTo::Cpu(_) | RedirectTo::Broadcast { .. });
        if let Some(name) = name(redirect.ifindex).filter(|_| inner.named && one) {
            let number = format!("interface {}", redirect.ifindex);
            text = text.replacen(&number, &format!("{number} ({name})"), 1);
        }
        inner.counts.entry(text).or_insert((*redirect, 0)).1 += 1;
    }

    /// Packets are sent: reports say so.
    pub fn sends(&self) {
        self.lock().sent.get_or_insert_default();
    }

    /// Counts what came of a packet.
    pub fn sent(&self, forwarded: &Forwarded) {
        let mut inner = self.lock();
        let Some(sent) = &mut inner.sent else { return };
        sent.frames += u64::from(forwarded.sent);
        sent.passed += u64::from(forwarded.passed);
        sent.dropped += u64::from(forwarded.dropped);
        if let Some(why) = forwarded.error {
            *sent.failed.entry(why).or_default() += u64::from(forwarded.failed);
        }
    }

    /// What came of packets in words, none where they are not sent.
    pub fn sent_list(&self) -> Vec<(String, u64)> {
        let inner = self.lock();
        let Some(sent) = &inner.sent else { return Vec::new() };
        let mut list = vec![("sent".to_owned(), sent.frames)];
        let more = [("passed by CPUs", sent.passed), ("dropped on the way", sent.dropped)];
        list.extend(more.into_iter().filter(|(_, n)| *n > 0).map(|(what, n)| (what.to_owned(), n)));
        list.extend(sent.failed.iter().map(|(why, n)| (format!("not sent ({why:?})"), *n)));
        list
    }

    /// The same for machines, nothing where they are not sent.
    pub fn sent_json(&self) -> Option<Json> {
        let inner = self.lock();
        let sent = inner.sent.as_ref()?;
        let failed: serde_json::Map<String, Json> =
            sent.failed.iter().map(|(why, n)| (format!("{why:?}"), json!(n))).collect();
        Some(
            json!({ "frames": sent.frames, "passed": sent.passed, "dropped": sent.dropped, "failed": failed }),
        )
    }

    /// Each place in words, and how many packets were to go there.
    pub fn list(&self) -> Vec<(String, u64)> {
        self.lock().counts.iter().map(|(text, (_, n))| (text.clone(), *n)).collect()
    }

    /// The same for machines.
    pub fn json(&self) -> Json {
        let each = |(text, (redirect, n)): (&String, &(Redirect, u64))| json!({ "to": redirect.to.word(), "ifindex": redirect.ifindex, "text": text, "packets": n });
        Json::Array(self.lock().counts.iter().map(each).collect())
    }
}

#[cfg(target_os = "linux")]
fn name(ifindex: u32) -> Option<String> {
    skep::source::packet_socket::interface_name(ifindex)
}

#[cfg(not(target_os = "linux"))]
fn name(_: u32) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_counted_once() {
        let all = Redirects::default();
        let to = |ifindex, to| Redirect::new(ifindex, to);
        for _ in 0..3 {
            all.count(&to(1, RedirectTo::Egress));
        }
        all.count(&to(1, RedirectTo::Ingress));
        all.count(&to(0, RedirectTo::Cpu(2)));
        let list =
            [("CPU 2".to_owned(), 1), ("interface 1".to_owned(), 3), ("interface 1, ingress".to_owned(), 1)];
        assert_eq!(all.list(), list);
        let json = all.json();
        assert_eq!(json[1], json!({ "to": "egress", "ifindex": 1, "text": "interface 1", "packets": 3 }));
        #[cfg(target_os = "linux")]
        {
            let named = Redirects::default();
            named.name_interfaces();
            named.count(&to(1, RedirectTo::Ingress));
            named.count(&to(u32::MAX, RedirectTo::Egress));
            let texts: Vec<String> = named.list().into_iter().map(|(text, _)| text).collect();
            assert_eq!(texts, ["interface 1 (lo), ingress", "interface 4294967295"]);
        }
    }
}
