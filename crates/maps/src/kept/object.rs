//! Objects that programs allocate, and what owns them: the program itself, a pointer in a value or object, a list, a tree
//! (`bpf_obj_new_impl` and what follows it in kernel/bpf/helpers.c, Linux 6.18).

use alloc::sync::Arc;
use alloc::vec::Vec;

use skep_btf::{Btf, Type, TypeId};
use skep_spec::{Errno, Field, Fields};

use super::tree::{self, Side, Tree};
use super::{Keeper, State, heap};

/// What objects of a type look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectType {
    /// Bytes.
    pub size: u32,
    /// The fields that only helpers and functions of the kernel touch.
    pub fields: Vec<Field>,
}

impl ObjectType {
    /// Of a struct of a program's types; `None` for what is none.
    pub fn of(btf: &Btf, id: TypeId) -> Option<Self> {
        let Some(Type::Struct { size, .. }) = btf.ty(id) else { return None };
        let fields = Fields::of_object(btf, id).map_or_else(Vec::new, |f| f.all().to_vec());
        Some(Self { size: *size, fields })
    }
}

#[derive(Debug)]
pub(super) struct Object {
    ty: Arc<ObjectType>,
    /// How many own it.
    owners: u32,
    class: u32,
    /// Offset of its slot.
    off: usize,
}

/// What makes an object a member of a list or a tree. 0 is no node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Node {
    /// The head or root; 0 until it is in there.
    root: u64,
    pub(super) parent: u64,
    pub(super) left: u64,
    pub(super) right: u64,
    pub(super) red: bool,
}

/// An insertion into a tree: the program says on which side of some nodes the new one belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insert {
    root: u64,
    node: u64,
    parent: u64,
    left: bool,
    at: u64,
}

impl Insert {
    /// None.
    pub const NONE: Self = Self { root: 0, node: 0, parent: 0, left: false, at: 0 };

    /// The new node, and the one that it is compared with next; `None` when its place is found.
    pub fn question(&self) -> Option<(u64, u64)> {
        (self.at != 0).then_some((self.node, self.at))
    }
}

impl State {
    /// The object that an address is in.
    pub(super) fn object_of(&self, addr: u64) -> Option<u64> {
        let (start, object) = self.objects.range(..=addr).next_back()?;
        (addr - start < u64::from(object.ty.size.max(1))).then_some(*start)
    }

    /// One owner less; what the last one leaves without an owner in turn goes to `left`.
    pub(super) fn unref(&mut self, at: u64, left: &mut Vec<u64>) {
        let Some(object) = self.objects.get_mut(&at) else { return };
        object.owners -= 1;
        if object.owners == 0
            && let Some(object) = self.objects.remove(&at)
        {
            self.empty(at, at + u64::from(object.ty.size), left);
            self.slabs.give(object.class, object.off);
        }
    }

    fn unref_all(&mut self, at: u64) {
        let mut left = alloc::vec![at];
        while let Some(at) = left.pop() {
            self.unref(at, &mut left);
        }
    }

    /// A node is to become a member; `Err` when it is one. Its object then loses the owner that gave it, as in Linux.
    fn claim(&mut self, root: u64, node: u64) -> Result<(), Refused> {
        let object = self.object_of(node).ok_or(Refused::NoObject)?;
        if self.nodes.contains_key(&node) {
            self.unref_all(object);
            return Err(Refused::Member);
        }
        self.nodes.insert(node, Node { root, ..Node::default() });
        Ok(())
    }

    fn is_in(&self, root: u64, node: u64) -> bool {
        self.nodes.get(&node).is_some_and(|n| n.root == root)
    }
}

/// Why an operation on an object is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The address is not one of an object: no verified program comes here.
    NoObject,
    /// The object is a member of a list or tree already (`EINVAL`).
    Member,
    /// The state cannot be changed any more: somebody died while he did (`EBUSY`).
    Busy,
}

impl From<Errno> for Refused {
    fn from(_: Errno) -> Self {
        Self::Busy
    }
}

/// Most bytes of an object: Linux's caches give no more.
const OBJECT_MOST: u32 = 4096;

/// From what one CPU has of an object to what the next has, in bytes.
fn per_cpu_step(size: u32) -> u32 {
    size.max(1).next_multiple_of(8)
}

impl Keeper {
    /// A new object, zeroed, with one owner: the caller (`bpf_obj_new_impl`). `None` when there is no memory.
    pub fn allocate(&self, ty: &Arc<ObjectType>) -> Option<u64> {
        if ty.size > OBJECT_MOST {
            return None;
        }
        self.allocate_slot(ty)
    }

    /// An object of which each of `cpus` virtual CPUs has one, next to each other, zeroed, with one owner: the caller
    /// (`bpf_percpu_obj_new_impl`). `None` when there is no memory, or no room for so much in one place.
    pub fn allocate_per_cpu(&self, ty: &ObjectType, cpus: u32) -> Option<u64> {
        let size = per_cpu_step(ty.size).checked_mul(cpus)?;
        self.allocate_slot(&Arc::new(ObjectType { size, fields: Vec::new() }))
    }

    /// What one of `cpus` CPUs has of such an object. Of what is gone, or has no such CPU, the object's own address.
    pub fn per_cpu(&self, at: u64, cpu: u32, cpus: u32) -> u64 {
        let size = self.type_of(at).map_or(0, |ty| ty.size);
        at + u64::from(if cpu < cpus { size / cpus * cpu } else { 0 })
    }

    /// A set of bytes of no type of a program's, as [`Self::allocate`].
    pub fn allocate_bytes(&self, size: u32) -> Option<u64> {
        self.allocate(&Arc::new(ObjectType { size, fields: Vec::new() }))
    }

    fn allocate_slot(&self, ty: &Arc<ObjectType>) -> Option<u64> {
        let class = heap::class(ty.size as usize)?;
        let off = self.change(|s| s.slabs.take(class)).ok()??;
        // Nobody else has the slot.
        let at = self.memory.clear(off, 1 << class);
        let object = Object { ty: Arc::clone(ty), owners: 1, class, off };
        self.change(|s| s.objects.insert(at, object)).ok()?;
        Some(at)
    }

    /// One owner less: the object goes with its last (`bpf_obj_drop_impl`).
    ///
    /// # Errors
    /// `NoObject` when none starts there.
    pub fn drop_object(&self, at: u64) -> Result<(), Refused> {
        self.change(|s| s.objects.contains_key(&at).then(|| s.unref_all(at)).ok_or(Refused::NoObject))?
    }

    /// One owner more (`bpf_refcount_acquire_impl`).
    ///
    /// # Errors
    /// `NoObject` when none starts there.
    pub fn acquire(&self, at: u64) -> Result<u64, Refused> {
        self.change(|s| {
            let object = s.objects.get_mut(&at).ok_or(Refused::NoObject)?;
            object.owners = object.owners.checked_add(1).ok_or(Refused::Busy)?;
            Ok(at)
        })?
    }

    /// The object that an address is in.
    pub fn object_at(&self, addr: u64) -> Option<u64> {
        self.state.read(|s| s.object_of(addr)).flatten()
    }

    /// The type of the object that starts at an address.
    pub fn type_of(&self, at: u64) -> Option<Arc<ObjectType>> {
        self.state.read(|s| s.objects.get(&at).map(|o| Arc::clone(&o.ty)))?
    }

    /// The field that an address of an object is the start of.
    pub fn field_at(&self, addr: u64) -> Option<Field> {
        self.state.read(|s| {
            let start = s.object_of(addr)?;
            let object = s.objects.get(&start)?;
            object.ty.fields.iter().find(|f| u64::from(f.off_bytes) == addr - start).copied()
        })?
    }

    /// Gives a pointer another object, 0 for none, with the caller's ownership; gives what it had, which the caller owns now
    /// (`bpf_kptr_xchg`). `write` writes the word that programs read.
    ///
    /// # Errors
    /// `NoObject` when none starts there.
    pub fn exchange(&self, pointer: u64, object: u64, write: impl FnOnce(u64)) -> Result<u64, Refused> {
        self.change(|s| {
            if object != 0 && !s.objects.contains_key(&object) {
                return Err(Refused::NoObject);
            }
            let old = match object {
                0 => s.pointers.remove(&pointer),
                object => s.pointers.insert(pointer, object),
            };
            match self.memory.off(pointer) {
                Some(off) => self.memory.write_word(off, object),
                None => write(object),
            }
            Ok(old.unwrap_or(0))
        })?
    }

    /// Puts a node with its object at an end of a list (`bpf_list_push_front_impl`, `bpf_list_push_back_impl`).
    ///
    /// # Errors
    /// `Member` when the node is one already; then the object has lost the caller as its owner.
    pub fn list_push(&self, head: u64, node: u64, front: bool) -> Result<(), Refused> {
        self.change(|s| {
            s.claim(head, node)?;
            let list = s.lists.entry(head).or_default();
            match front {
                true => list.push_front(node),
                false => list.push_back(node),
            }
            Ok(())
        })?
    }

    /// Takes a node off an end of a list, whose object the caller then owns; 0 when it is empty
    /// (`bpf_list_pop_front`, `bpf_list_pop_back`).
    ///
    /// # Errors
    /// `Busy`.
    pub fn list_pop(&self, head: u64, front: bool) -> Result<u64, Refused> {
        Ok(self
            .change(|s| {
                let list = s.lists.get_mut(&head)?;
                let node = if front { list.pop_front() } else { list.pop_back() }?;
                s.nodes.remove(&node);
                Some(node)
            })?
            .unwrap_or(0))
    }

    /// The node at an end of a list, 0 when it is empty (`bpf_list_front`, `bpf_list_back`).
    pub fn list_end(&self, head: u64, front: bool) -> u64 {
        let end = |s: &State| {
            let list = s.lists.get(&head)?;
            (if front { list.front() } else { list.back() }).copied()
        };
        self.state.read(end).flatten().unwrap_or(0)
    }

    /// Begins to add a node with its object to a tree (`bpf_rbtree_add_impl`).
    ///
    /// # Errors
    /// As [`Self::list_push`].
    pub fn tree_insert(&self, root: u64, node: u64) -> Result<Insert, Refused> {
        self.change(|s| {
            s.claim(0, node)?;
            let at = s.trees.get(&root).copied().unwrap_or(0);
            Ok(Insert { root, node, parent: 0, left: true, at })
        })?
    }

    /// Goes on with an insertion: whether the new node comes before the one that it was compared with.
    pub fn tree_side(&self, insert: &mut Insert, left: bool) {
        let side = if left { Side::Left } else { Side::Right };
        let below = self.state.read(|s| tree::child(&s.nodes, insert.at, side)).unwrap_or(0);
        (insert.parent, insert.left, insert.at) = (insert.at, left, below);
    }

    /// Ends an insertion whose place is found.
    ///
    /// # Errors
    /// `NoObject` when somebody has changed the tree meanwhile, which whoever holds its lock does not.
    pub fn tree_link(&self, insert: Insert) -> Result<(), Refused> {
        let Insert { root, node, parent, left, .. } = insert;
        self.change(|s| {
            let top = s.trees.get(&root).copied().unwrap_or(0);
            let side = if left { Side::Left } else { Side::Right };
            let free = match parent {
                0 => top == 0,
                parent => s.is_in(root, parent) && tree::child(&s.nodes, parent, side) == 0,
            };
            let new = s.nodes.get_mut(&node).filter(|n| free && n.root == 0);
            new.ok_or(Refused::NoObject)?.root = root;
            let mut tree = Tree { nodes: &mut s.nodes, top };
            tree.link(node, parent, side);
            s.trees.insert(root, tree.top);
            Ok(())
        })?
    }

    /// Gives up an insertion: the program has ended before its place was found.
    pub fn tree_forget(&self, insert: Insert) {
        // What cannot be changed any more stays until the process ends.
        let _gone = self.change(|s| {
            if s.is_in(0, insert.node) {
                s.nodes.remove(&insert.node);
                if let Some(object) = s.object_of(insert.node) {
                    s.unref_all(object);
                }
            }
        });
    }

    /// Takes a node out of a tree, whose object the caller then owns; 0 when it is not in there (`bpf_rbtree_remove`).
    ///
    /// # Errors
    /// `Busy`.
    pub fn tree_remove(&self, root: u64, node: u64) -> Result<u64, Refused> {
        Ok(self.change(|s| {
            let top = s.trees.get(&root).copied().filter(|_| s.is_in(root, node));
            let Some(top) = top else { return 0 };
            let mut tree = Tree { nodes: &mut s.nodes, top };
            tree.unlink(node);
            match tree.top {
                0 => s.trees.remove(&root),
                top => s.trees.insert(root, top),
            };
            s.nodes.remove(&node);
            node
        })?)
    }

    /// The first node of a tree, 0 when it is empty (`bpf_rbtree_first`).
    pub fn tree_first(&self, root: u64) -> u64 {
        let first = |s: &State| s.trees.get(&root).map_or(0, |top| tree::first(&s.nodes, *top));
        self.state.read(first).unwrap_or(0)
    }

    /// The topmost node of a tree, 0 when it is empty (`bpf_rbtree_root`).
    pub fn tree_top(&self, root: u64) -> u64 {
        self.state.read(|s| s.trees.get(&root).copied()).flatten().unwrap_or(0)
    }

    /// A child of a node of a tree, 0 when there is none, or the node is not in there (`bpf_rbtree_left`,
    /// `bpf_rbtree_right`).
    pub fn tree_child(&self, root: u64, node: u64, left: bool) -> u64 {
        let side = if left { Side::Left } else { Side::Right };
        let below = |s: &State| if s.is_in(root, node) { tree::child(&s.nodes, node, side) } else { 0 };
        self.state.read(below).unwrap_or(0)
    }
}
