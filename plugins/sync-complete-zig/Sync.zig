//! The body of a sync.complete event.

const std = @import("std");
const Value = std.json.Value;

/// The event.
pub const event = "sync.complete";

customer_id: []const u8,
provider_name: []const u8,
object: []const u8,
failed: bool,
records: i64,
error_message: ?[]const u8,

const Sync = @This();

/// What a body is, or why it is no such event.
pub const Parsed = union(enum) { sync: Sync, wrong: []const u8 };

pub fn parse(arena: std.mem.Allocator, body: []const u8) Parsed {
    const json = std.json.parseFromSliceLeaky(Value, arena, body, .{}) catch |wrong|
        return .{ .wrong = @errorName(wrong) };
    const object = switch (json) {
        .object => |object| object,
        else => return .{ .wrong = "no object" },
    };
    const found = text(object.get("webhook_event_type")) orelse return missing("webhook_event_type");
    if (!std.mem.eql(u8, found, event)) return .{ .wrong = found };
    const result = text(object.get("result")) orelse return missing("result");
    const failed = std.mem.eql(u8, result, "ERROR");
    if (!failed and !std.mem.eql(u8, result, "SUCCESS")) return .{ .wrong = result };
    return .{ .sync = .{
        .customer_id = text(object.get("customer_id")) orelse return missing("customer_id"),
        .provider_name = text(object.get("provider_name")) orelse return missing("provider_name"),
        .object = text(object.get("object")) orelse return missing("object"),
        .failed = failed,
        .records = count(given(object, "num_records_synced") orelse .{ .integer = 0 }) orelse
            return .{ .wrong = "num_records_synced is no number of records" },
        .error_message = if (given(object, "error_message")) |reason|
            text(reason) orelse return missing("error_message")
        else
            null,
    } };
}

fn missing(comptime name: []const u8) Parsed {
    return .{ .wrong = "no text in " ++ name };
}

/// What is there, and not null.
fn given(object: std.json.ObjectMap, name: []const u8) ?Value {
    const value = object.get(name) orelse return null;
    return if (value == .null) null else value;
}

fn text(value: ?Value) ?[]const u8 {
    return switch (value orelse return null) {
        .string => |string| string,
        else => null,
    };
}

fn count(value: Value) ?i64 {
    return switch (value) {
        .integer => |number| if (number >= 0) number else null,
        else => null,
    };
}
