//! Where programs wanted packets to go: counted and named, for nobody sends them there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value as Json, json};
use skep::spec::{Redirect, RedirectTo};

/// Packets by where they were to go, from whichever thread.
#[derive(Clone, Debug, Default)]
pub struct Redirects(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    counts: BTreeMap<String, (Redirect, u64)>,
    /// Numbers of interfaces are those of this process's network namespace.
    named: bool,
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
        let to = |ifindex, to| Redirect { ifindex, to };
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
