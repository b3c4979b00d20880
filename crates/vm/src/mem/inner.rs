//! Maps that a run found in maps of maps.
//!
//! They live as long as the run: a map of maps keeps what it held when the run began ([`Map::begin_run`]), and what it
//! got since. So their values are granted like those of the program's own maps. Which ones a run has found is not
//! written down, for that would need memory without bound; the map of maps is asked where values stand, and the spans
//! found last are kept beside the run's other recent ones.

use alloc::sync::Arc;

use skep_maps::Map;

use super::Mem;
use super::span::{Recent, Span};

/// Spans that are kept.
const SPANS: usize = 8;
/// Tries that are told of the run.
const TOLD: usize = 16;

/// What a run knows of such maps.
pub(super) struct Inner {
    /// Values, the oldest at `next`. Empty spans stand for none.
    spans: [Span; SPANS],
    next: usize,
    /// The CPU of the run.
    vcpu: u32,
    /// Maps that [`Map::waits_for_runs`] and were told of this one, from the first on, by all programs of the run.
    told: [Option<Arc<Map>>; TOLD],
}

impl Inner {
    pub(super) const NONE: Self =
        Self { spans: [Span::EMPTY; SPANS], next: 0, vcpu: 0, told: [const { None }; TOLD] };
}

impl Mem<'_> {
    /// The program's run has found a map, whose values it may reach from now on. Only the first sixteen tries of a run
    /// wait for its end with what is taken out of them.
    pub(crate) fn found_map(&mut self, map: &Arc<Map>) {
        if !map.waits_for_runs() {
            return;
        }
        let Inner { told, vcpu, .. } = &mut self.scratch.inner;
        if let Some(free) = told.iter().position(Option::is_none)
            && !told[..free].iter().flatten().any(|m| Arc::ptr_eq(m, map))
        {
            map.begin_run(*vcpu);
            told[free] = Some(Arc::clone(map));
        }
    }

    /// The run's last program has ended, or an outer one goes on that has been told of the first `count` maps.
    pub(super) fn leave_maps(&mut self, count: usize, vcpu: u32) {
        for map in self.scratch.inner.told[count..].iter_mut().map_while(Option::take) {
            map.end_run(vcpu);
        }
        self.forget_maps();
    }

    /// A program begins: nothing is known of the maps that it will find. Gives how many were told of the run before.
    #[cold]
    pub(super) fn enter_maps(&mut self, vcpu: u32) -> usize {
        self.forget_maps();
        self.scratch.inner.vcpu = vcpu;
        self.scratch.inner.told.iter().take_while(|m| m.is_some()).count()
    }

    /// Forgets where values stand.
    pub(super) fn forget_maps(&mut self) {
        self.scratch.inner.spans = [Span::EMPTY; SPANS];
    }

    /// A value of such a map is about to be accessed.
    pub(crate) fn expect_inner_value(&mut self, map: &Map, addr: u64) {
        let Some(span) = map.value_area().map(Span::of_values) else { return };
        let known = self.scratch.inner.spans.iter().any(|s| s.start == span.start && s.len > 0);
        if !known {
            self.keep_span(span);
        }
        let span = span.around(addr);
        if let Some(load) = Recent::of(&span, false) {
            self.loads = [load, self.loads[0]];
        }
        if let Some(store) = Recent::of(&span, true) {
            self.stores = [store, self.stores[0]];
        }
    }

    fn keep_span(&mut self, span: Span) {
        let inner = &mut self.scratch.inner;
        inner.spans[inner.next % SPANS] = span;
        inner.next = (inner.next + 1) % SPANS;
    }

    /// The values of such a map that grant an access.
    pub(super) fn inner_span(&self, addr: u64, size: u64, write: bool) -> Option<Span> {
        let outer = self.set()?.outer();
        if outer.is_empty() {
            return None;
        }
        let known = self.scratch.inner.spans.iter().find(|s| s.grants(addr, size, write)).copied();
        let vcpu = self.scratch.inner.vcpu;
        known.or_else(|| {
            let mut spans =
                outer.iter().filter_map(|m| Some(Span::of_values(m.inner_holding(addr, size, vcpu)?.1)));
            spans.find(|s| s.grants(addr, size, write))
        })
    }
}
