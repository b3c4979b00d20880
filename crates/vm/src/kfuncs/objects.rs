//! Objects that programs allocate, lists and trees of them, and work for later (kernel/bpf/helpers.c, Linux 6.18).
//!
//! `bpf_rbtree_add_impl` calls a function of the program: see `callback`.

use skep_maps::{Keeper, Refused, TimerKind};
use skep_spec::{Errno, FieldKind};

use super::{Row, row};
use crate::helpers::kept::{self, refused};
use crate::helpers::{Args, Call, int};
use crate::trap::TrapKind;

pub(super) static ROWS: &[Row] = &[
    row("void *bpf_obj_new_impl(u64 local_type_id__k, void *meta__ign)", obj_new),
    row("void bpf_obj_drop_impl(void *p__alloc, void *meta__ign)", obj_drop),
    row("void *bpf_percpu_obj_new_impl(u64 local_type_id__k, void *meta__ign)", percpu_obj_new),
    row("void bpf_percpu_obj_drop_impl(void *p__alloc, void *meta__ign)", obj_drop),
    row("void *bpf_refcount_acquire_impl(void *p__refcounted_kptr, void *meta__ign)", refcount_acquire),
    row(
        "int bpf_list_push_front_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta__ign, u64 off)",
        list_push_front,
    ),
    row(
        "int bpf_list_push_back_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta__ign, u64 off)",
        list_push_back,
    ),
    row("struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *head)", list_pop_front),
    row("struct bpf_list_node *bpf_list_pop_back(struct bpf_list_head *head)", list_pop_back),
    row("struct bpf_list_node *bpf_list_front(struct bpf_list_head *head)", list_front),
    row("struct bpf_list_node *bpf_list_back(struct bpf_list_head *head)", list_back),
    row(
        "struct bpf_rb_node *bpf_rbtree_remove(struct bpf_rb_root *root, struct bpf_rb_node *node)",
        rbtree_remove,
    ),
    row("struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *root)", rbtree_first),
    row("struct bpf_rb_node *bpf_rbtree_root(struct bpf_rb_root *root)", rbtree_root),
    row(
        "struct bpf_rb_node *bpf_rbtree_left(struct bpf_rb_root *root, struct bpf_rb_node *node)",
        rbtree_left,
    ),
    row(
        "struct bpf_rb_node *bpf_rbtree_right(struct bpf_rb_root *root, struct bpf_rb_node *node)",
        rbtree_right,
    ),
    row("int bpf_wq_init(struct bpf_wq *wq, void *p__map, unsigned int flags)", wq_init),
    row(
        "int bpf_wq_set_callback_impl(struct bpf_wq *wq, callback *callback_fn, unsigned int flags, void *aux__prog)",
        wq_set_callback,
    ),
    row("int bpf_wq_start(struct bpf_wq *wq, unsigned int flags)", wq_start),
];

/// An object of a type of the program's, zeroed; NULL without memory.
fn obj_new(call: &mut Call<'_, '_, '_>, [type_id, ..]: Args) -> Result<u64, TrapKind> {
    let ty = call.program.object_type(type_id).ok_or(TrapKind::NotAType(type_id))?;
    let object = call.keeper()?.allocate(ty).unwrap_or(0);
    call.state.own(object);
    Ok(object)
}

/// An object of which each CPU has one; the address stands for all, `bpf_per_cpu_ptr` gives one of them.
fn percpu_obj_new(call: &mut Call<'_, '_, '_>, [type_id, ..]: Args) -> Result<u64, TrapKind> {
    let ty = call.program.object_type(type_id).ok_or(TrapKind::NotAType(type_id))?;
    let object = call.keeper()?.allocate_per_cpu(ty, call.program.cpus()).unwrap_or(0);
    call.state.own(object);
    Ok(object)
}

fn obj_drop(call: &mut Call<'_, '_, '_>, [object, ..]: Args) -> Result<u64, TrapKind> {
    call.keeper()?.drop_object(object).map_err(|e| refused(e, object))?;
    call.state.disown(object);
    Ok(0)
}

fn refcount_acquire(call: &mut Call<'_, '_, '_>, [object, ..]: Args) -> Result<u64, TrapKind> {
    let object = call.keeper()?.acquire(object).map_err(|e| refused(e, object))?;
    call.state.own(object);
    Ok(object)
}

/// The program gives the object of a node away; -EINVAL, and the object dropped, when it is in a list or tree already.
pub(crate) fn given<T>(
    call: &mut Call<'_, '_, '_>,
    node: u64,
    to: impl FnOnce(&Keeper) -> Result<T, Refused>,
) -> Result<Result<T, Errno>, TrapKind> {
    let keeper = call.keeper()?;
    // An object that is dropped is none any more.
    let object = keeper.object_at(node);
    let done = to(keeper);
    if let Some(object) = object {
        call.state.disown(object);
    }
    match done {
        Ok(done) => Ok(Ok(done)),
        Err(Refused::Member) => Ok(Err(Errno::EINVAL)),
        Err(e @ (Refused::NoObject | Refused::Busy)) => Err(refused(e, node)),
    }
}

fn list_push(call: &mut Call<'_, '_, '_>, head: u64, node: u64, front: bool) -> Result<u64, TrapKind> {
    call.is_root(head, FieldKind::ListHead)?;
    given(call, node, |keeper| keeper.list_push(head, node, front)).map(int)
}

fn list_push_front(call: &mut Call<'_, '_, '_>, [head, node, ..]: Args) -> Result<u64, TrapKind> {
    list_push(call, head, node, true)
}

fn list_push_back(call: &mut Call<'_, '_, '_>, [head, node, ..]: Args) -> Result<u64, TrapKind> {
    list_push(call, head, node, false)
}

/// The program owns the object of a node.
fn taken(call: &mut Call<'_, '_, '_>, node: u64) -> Result<u64, TrapKind> {
    if let Some(object) = call.keeper()?.object_at(node) {
        call.state.own(object);
    }
    Ok(node)
}

fn list_pop(call: &mut Call<'_, '_, '_>, head: u64, front: bool) -> Result<u64, TrapKind> {
    call.is_root(head, FieldKind::ListHead)?;
    let node = call.keeper()?.list_pop(head, front).map_err(|e| refused(e, head))?;
    taken(call, node)
}

fn list_pop_front(call: &mut Call<'_, '_, '_>, [head, ..]: Args) -> Result<u64, TrapKind> {
    list_pop(call, head, true)
}

fn list_pop_back(call: &mut Call<'_, '_, '_>, [head, ..]: Args) -> Result<u64, TrapKind> {
    list_pop(call, head, false)
}

fn list_front(call: &mut Call<'_, '_, '_>, [head, ..]: Args) -> Result<u64, TrapKind> {
    Ok(call.keeper()?.list_end(head, true))
}

fn list_back(call: &mut Call<'_, '_, '_>, [head, ..]: Args) -> Result<u64, TrapKind> {
    Ok(call.keeper()?.list_end(head, false))
}

fn rbtree_remove(call: &mut Call<'_, '_, '_>, [root, node, ..]: Args) -> Result<u64, TrapKind> {
    call.is_root(root, FieldKind::RbRoot)?;
    let node = call.keeper()?.tree_remove(root, node).map_err(|e| refused(e, node))?;
    taken(call, node)
}

fn rbtree_first(call: &mut Call<'_, '_, '_>, [root, ..]: Args) -> Result<u64, TrapKind> {
    Ok(call.keeper()?.tree_first(root))
}

fn rbtree_root(call: &mut Call<'_, '_, '_>, [root, ..]: Args) -> Result<u64, TrapKind> {
    Ok(call.keeper()?.tree_top(root))
}

fn rbtree_left(call: &mut Call<'_, '_, '_>, [root, node, ..]: Args) -> Result<u64, TrapKind> {
    Ok(call.keeper()?.tree_child(root, node, true))
}

fn rbtree_right(call: &mut Call<'_, '_, '_>, [root, node, ..]: Args) -> Result<u64, TrapKind> {
    Ok(call.keeper()?.tree_child(root, node, false))
}

/// 0; -EINVAL for flags, -EBUSY when it has been prepared, -EPERM when only programs have the map.
fn wq_init(call: &mut Call<'_, '_, '_>, [wq, map, flags, ..]: Args) -> Result<u64, TrapKind> {
    match flags as u32 {
        0 => kept::init(call, (wq, map), TimerKind::Work, 0).map(int),
        _ => Ok(int(Err(Errno::EINVAL))),
    }
}

fn wq_set_callback(call: &mut Call<'_, '_, '_>, [wq, function, flags, ..]: Args) -> Result<u64, TrapKind> {
    match flags as u32 {
        0 => kept::set_callback(call, (wq, function), TimerKind::Work).map(int),
        _ => Ok(int(Err(Errno::EINVAL))),
    }
}

fn wq_start(call: &mut Call<'_, '_, '_>, [wq, flags, ..]: Args) -> Result<u64, TrapKind> {
    let keeper = kept::work(call, wq)?;
    Ok(match flags as u32 {
        0 => int(keeper.timer_start(wq, 0, None)),
        _ => int(Err(Errno::EINVAL)),
    })
}
