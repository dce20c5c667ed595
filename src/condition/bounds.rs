//! How many items a macro may walk.

use std::mem;

use cel::common::ast::{CallExpr, Expr, LiteralValue};
use cel::common::types::{CelInt, DYN_TYPE, INT_TYPE};
use cel::common::value::CowVal;
use cel::{Env, ExecutionError, IdedExpr};

/// Items of a macro that looks at nothing but its own item.
const MACRO_ITEMS: i64 = 10_000;

/// Items times bytes of the event for a macro that looks at more, since each item may cost it as
/// much as the whole event: 4 MiB, or 4,096 items of an event of 1 KiB.
const WALK_BYTES: usize = 4 << 20;

/// The function that bounds a macro's items. No expression can be written that names it.
pub(super) const WITHIN: &str = "@within";

/// The variable that holds what [`room`] gives.
pub(super) const ROOM: &str = "@room";

/// How many items a macro may walk that looks at more than its own, in an event of so many bytes.
pub(super) fn room(bytes: usize) -> i64 {
    i64::try_from(WALK_BYTES / bytes.max(1)).unwrap_or(i64::MAX)
}

/// Makes a macro over this range fail if it would walk too many items; `beyond` says whether it
/// looks at more than its own item.
pub(super) fn bound(range: &mut IdedExpr, beyond: bool) {
    let most = if beyond {
        Expr::Ident(ROOM.to_owned())
    } else {
        Expr::Literal(LiteralValue::Int(CelInt::from(MACRO_ITEMS)))
    };
    let id = range.id;
    let args = vec![mem::take(range), IdedExpr { id, expr: most }];
    let call = CallExpr { func_name: WITHIN.to_owned(), target: None, args };
    *range = IdedExpr { id, expr: Expr::Call(call) };
}

/// Declares what [`bound`] calls.
pub(super) fn declare(env: &mut Env) {
    let declared = env.add_overload(WITHIN, "within", vec![DYN_TYPE, INT_TYPE], within);
    // Of the standard library's names none begins with `@`, and this is called once.
    declared.expect("the name is free");
}

/// The range, if it has no more items than that.
fn within<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let most = args.pop().and_then(|most| Some(*most.downcast_ref::<CelInt>()?.inner()));
    let range = args.pop().ok_or(ExecutionError::MissingArgumentOrTarget)?;
    let items = range.as_sizer().map_or(0, |range| *range.size().inner());
    if items <= most.unwrap_or_default() {
        return Ok(range);
    }
    Err(ExecutionError::function_error(WITHIN, "too many items"))
}
