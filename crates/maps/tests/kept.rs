//! What values keep, through the maps' own interface: who lets it go, and who may not see it.

use std::sync::{Arc, Mutex};

use skep_abi::MapType;
use skep_btf::{Btf, Builder, IntEncoding, Type};
use skep_maps::{Block, Config, Header, Heap, Key, Map, Memory, ObjectType, Refused, TimerKind};
use skep_spec::{Errno, MapDef};

/// `struct plain { long a, b; }`, `struct value { long n; struct plain __kptr *p; struct bpf_timer t; }`.
fn types() -> Arc<Btf> {
    let mut b = Builder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let long = b.int("long", 8, IntEncoding::Signed);
    let plain = b.structure("plain", 16, &[("a", long, 0), ("b", long, 64)]);
    let name = b.name("kptr");
    let tagged = b.add(Type::TypeTag { name, target: plain, attribute: false });
    let pointer = b.ptr(tagged);
    let words = b.array(long, int, 2);
    let timer = b.structure("bpf_timer", 16, &[("v", words, 0)]);
    b.structure("value", 32, &[("n", long, 0), ("p", pointer, 64), ("t", timer, 128)]);
    b.structure("owner", 16, &[("n", long, 0), ("p", pointer, 64)]);
    Arc::new(b.finish().expect("legal types"))
}

fn def(kind: MapType, value: &str, entries: u32) -> MapDef {
    let btf = types();
    let find = |name: &str| btf.find_by_name(None, name).expect("a type of ours");
    let size = btf.size_of(find(value)).expect("a struct");
    let (key_btf_id, value_btf_id) = (find("int").0, find(value).0);
    MapDef { btf: Some(btf.clone()), key_btf_id, value_btf_id, ..MapDef::new(kind, 4, size, entries) }
}

fn plain() -> Arc<ObjectType> {
    let btf = types();
    let id = btf.find_by_name(None, "plain").expect("a type of ours");
    Arc::new(ObjectType::of(&btf, id).expect("a struct"))
}

fn owner() -> Arc<ObjectType> {
    let btf = types();
    let id = btf.find_by_name(None, "owner").expect("a type of ours");
    Arc::new(ObjectType::of(&btf, id).expect("a struct"))
}

/// Gives a value's pointer an object.
fn give(map: &Map, key: u32) -> u64 {
    let keeper = map.keeper().expect("values keep something");
    let value = map.lookup((&key.to_ne_bytes()).into(), 0).expect("the key is there");
    let object = keeper.allocate(&plain()).expect("there is memory");
    let old =
        keeper.exchange(value + 8, object, |word| map.write_pointer(value + 8, word)).expect("an object");
    if old != 0 {
        keeper.drop_object(old).expect("an object");
    }
    value
}

#[test]
fn objects_go_with_their_elements() {
    for kind in
        [MapType::ARRAY, MapType::HASH, MapType::LRU_HASH, MapType::PERCPU_HASH, MapType::PERCPU_ARRAY]
    {
        let value =
            if matches!(kind, MapType::PERCPU_HASH | MapType::PERCPU_ARRAY) { "owner" } else { "value" };
        let map = Map::create(&def(kind, value, 4), &Config::new(2), &Heap).expect("a legal map");
        let keeper = map.keeper().expect("values keep something").clone();
        let bytes = vec![1; map.host_value_size()];
        for key in 0..3u32 {
            map.update_from_host(&key.to_ne_bytes(), &bytes, 0).expect("room");
            give(&map, key);
        }
        assert_eq!(keeper.objects(), 3, "{kind:?}");
        give(&map, 1);
        assert_eq!(keeper.objects(), 3, "{kind:?}: the pointer's old object was dropped");
        map.update_from_host(&1u32.to_ne_bytes(), &bytes, 0).expect("an update");
        assert_eq!(keeper.objects(), 2, "{kind:?}: an update from the host lets go");
        give(&map, 1);
        let program = vec![2; map.value_size() as usize];
        map.update((&1u32.to_ne_bytes()).into(), program.as_slice().into(), 0, 0).expect("an update");
        assert_eq!(keeper.objects(), 2, "{kind:?}: an update of a program lets go");
        if map.delete_from_host(&2u32.to_ne_bytes()).is_ok() {
            assert_eq!(keeper.objects(), 1, "{kind:?}: deletion lets go");
        }
        drop(map);
        assert_eq!(keeper.objects(), 0, "{kind:?}: the map's end lets go");
    }
}

#[test]
fn evicted_elements_let_go() {
    let map = Map::create(&def(MapType::LRU_HASH, "value", 4), &Config::new(1), &Heap).expect("a legal map");
    let keeper = map.keeper().expect("values keep something").clone();
    for key in 0..100u32 {
        map.update_from_host(&key.to_ne_bytes(), &[1; 32], 0).expect("room is made");
        give(&map, key);
        assert!(keeper.objects() <= 4);
    }
}

/// A value's pointer is shown as zeros, and an element that is used again has none.
#[test]
fn pointers_are_in_no_copy() {
    let map = Map::create(&def(MapType::HASH, "value", 1), &Config::new(1), &Heap).expect("a legal map");
    for key in 0..40u32 {
        map.update_from_host(&key.to_ne_bytes(), &[0xff; 32], 0).expect("room");
        let value = map.lookup((&key.to_ne_bytes()).into(), 0).expect("the key is there");
        let mut word = [0; 8];
        // SAFETY: the value lives as long as the map, and nobody writes it here.
        word.copy_from_slice(unsafe { &*std::ptr::with_exposed_provenance::<[u8; 8]>(value as usize + 8) });
        assert_eq!(word, [0; 8], "round {key}: a fresh element has no pointer");
        give(&map, key);
        let copy = map.lookup_copy(&key.to_ne_bytes(), 0).expect("the key is there");
        assert_eq!(copy, [[0xff; 8], [0; 8], [0; 8], [0; 8]].concat());
        map.delete_from_host(&key.to_ne_bytes()).expect("the key is there");
    }
}

/// Objects own objects: the last owner's end is the end of all.
#[test]
fn objects_let_go_what_they_own() {
    let map = Map::create(&def(MapType::ARRAY, "value", 1), &Config::new(1), &Heap).expect("a legal map");
    let keeper = map.keeper().expect("values keep something");
    let outer = keeper.allocate(&owner()).expect("memory");
    let inner = keeper.allocate(&plain()).expect("memory");
    assert_eq!(keeper.exchange(outer + 8, inner, |_| panic!("it is in no value")), Ok(0));
    keeper.acquire(outer).expect("an object");
    keeper.drop_object(outer).expect("an object");
    assert_eq!(keeper.objects(), 2, "it has another owner");
    keeper.drop_object(outer).expect("an object");
    assert_eq!(keeper.objects(), 0);
    assert_eq!(keeper.drop_object(outer), Err(Refused::NoObject));
    assert_eq!(keeper.drop_object(inner + 8), Err(Refused::NoObject));
}

#[test]
fn an_object_is_in_one_list_or_tree() {
    let map = Map::create(&def(MapType::ARRAY, "value", 1), &Config::new(1), &Heap).expect("a legal map");
    let keeper = map.keeper().expect("values keep something");
    let object = keeper.allocate(&plain()).expect("memory");
    let (head, root) = (0x1000, 0x2000);
    keeper.acquire(object).expect("an object");
    keeper.list_push(head, object, true).expect("it is in none");
    assert_eq!(keeper.list_push(head, object, true), Err(Refused::Member));
    assert_eq!(keeper.objects(), 1, "the list still owns it");
    assert_eq!((keeper.list_end(head, true), keeper.list_end(head, false)), (object, object));
    assert_eq!(keeper.list_pop(head, false), Ok(object));
    assert_eq!(keeper.list_pop(head, false), Ok(0));
    let insert = keeper.tree_insert(root, object).expect("it is in none");
    assert_eq!(insert.question(), None);
    keeper.tree_link(insert).expect("nobody has changed the tree");
    assert_eq!(keeper.tree_first(root), object);
    assert_eq!(keeper.tree_remove(head, object), Ok(0), "of another tree");
    assert_eq!(keeper.tree_remove(root, object), Ok(object));
    keeper.drop_object(object).expect("an object");
    assert_eq!(keeper.objects(), 0);
}

#[test]
fn timers_end_in_order_and_with_their_map() {
    let map = Map::create(&def(MapType::HASH, "value", 4), &Config::new(1), &Heap).expect("a legal map");
    let keeper = map.keeper().expect("values keep something");
    let mut timers = Vec::new();
    for key in 0..3u32 {
        map.update_from_host(&key.to_ne_bytes(), &[0; 32], 0).expect("room");
        let value = map.lookup((&key.to_ne_bytes()).into(), 0).expect("the key is there");
        let timer = value + 16;
        assert_eq!(keeper.timer_set(timer, Arc::new(key), 7), Err(Errno::EINVAL), "before its init");
        assert_eq!(keeper.timer_init(timer, TimerKind::Timer, 1, 0), Ok(()));
        assert_eq!(keeper.timer_init(timer, TimerKind::Timer, 1, 0), Err(Errno::EBUSY));
        assert_eq!(keeper.timer_start(timer, 5, None), Err(Errno::EINVAL), "before it has a function");
        keeper.timer_set(timer, Arc::new(key), 7).expect("it is initialised");
        keeper.timer_start(timer, 100 - u64::from(key), None).expect("it has a function");
        timers.push(timer);
    }
    assert_eq!(keeper.next_end(), Some((98, None)));
    assert!(keeper.due(97, 0).is_none());
    let due = keeper.due(98, 0).expect("one has ended");
    assert_eq!((due.timer, due.function), (timers[2], 7));
    assert!(matches!(map.element_at(due.timer).map(|e| e.key), Some(Key::At(_))));
    keeper.ran(&due);
    map.delete_from_host(&1u32.to_ne_bytes()).expect("the key is there");
    assert_eq!(keeper.next_end(), Some((100, None)), "the timer went with its element");
    map.abandon();
    assert_eq!(keeper.next_end(), None, "the timers went with the map's last handle");
}

/// Memory that stays when the map goes, as a file would.
struct Kept(Mutex<Vec<Arc<Block>>>);

// SAFETY: `Heap` gives what is asked for, and the blocks are kept.
unsafe impl Memory for Kept {
    fn page_size(&self) -> usize {
        Heap.page_size()
    }

    fn payload(&self, len: usize) -> Option<Block> {
        self.metadata(len)
    }

    fn metadata(&self, len: usize) -> Option<Block> {
        let block = Arc::new(Heap.metadata(len)?);
        self.0.lock().expect("no panic").push(block.clone());
        let base = std::ptr::NonNull::new(std::ptr::with_exposed_provenance_mut(block.addr(0) as usize))?;
        // SAFETY: the block lives as long as its owner.
        Some(unsafe { Block::new(base, block.len(), Box::new(block)) })
    }
}

/// What values keep is private to a process: no other opens such a map.
#[test]
fn nobody_else_opens_such_a_map() {
    let memory = Kept(Mutex::default());
    let made = [("value", false), ("owner", false), ("plain", true)].map(|(value, may)| {
        let _map = Map::create(&def(MapType::HASH, value, 4), &Config::new(1), &memory).expect("a legal map");
        let blocks = memory.0.lock().expect("no panic");
        let block = blocks.last().expect("a hash has one block");
        let start = std::ptr::with_exposed_provenance::<[u8; Header::LEN]>(block.addr(0) as usize);
        // SAFETY: the block is that long, and nobody writes it here.
        let header = Header::parse("m", unsafe { &*start }, Heap.page_size());
        assert_eq!(header.is_ok(), may, "{value}");
        header.err()
    });
    assert!(made[0].as_ref().is_some_and(|e| e.message.contains("private to the process")));
}
