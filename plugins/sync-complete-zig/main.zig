//! What an integration does when Supaglue says that a sync is complete: of one that succeeded it
//! emits an event, for whoever goes on with the new records; one that failed it tries again later.
//!
//! A handler as a WASI command: the event comes as JSON on stdin, what it prints to stdout is the
//! outcome, and stderr is its log.

const std = @import("std");
const Sync = @import("Sync.zig");

/// What becomes of the event.
const Outcome = struct {
    outcome: enum { ack, retry, reject },
    reason: ?[]const u8 = null,
    emit: ?[]const Emitted = null,
};

const Emitted = struct { event_type: []const u8, body: []const u8 };

pub fn main(init: std.process.Init) !void {
    const arena = init.arena.allocator();
    var buffer: [4096]u8 = undefined;
    var stdin = std.Io.File.stdin().readerStreaming(init.io, &buffer);
    const input = try stdin.interface.allocRemaining(arena, .unlimited);
    // A body that is no UTF-8 comes under another name.
    const Event = struct { body: []const u8 = "" };
    const event = try std.json.parseFromSliceLeaky(Event, arena, input, .{ .ignore_unknown_fields = true });

    const outcome = try handle(arena, event.body);
    const output = try std.json.Stringify.valueAlloc(arena, outcome, .{ .emit_null_optional_fields = false });
    try std.Io.File.stdout().writeStreamingAll(init.io, output);
}

fn handle(arena: std.mem.Allocator, body: []const u8) !Outcome {
    const sync = switch (Sync.parse(arena, body)) {
        .sync => |sync| sync,
        .wrong => |why| return .{
            .outcome = .reject,
            .reason = try std.fmt.allocPrint(arena, "not a {s}: {s}", .{ Sync.event, why }),
        },
    };
    const title = try std.fmt.allocPrint(arena, "{s} {s} of {s}", .{ sync.provider_name, sync.object, sync.customer_id });
    if (sync.failed) {
        const why = sync.error_message orelse "no reason given";
        return .{ .outcome = .retry, .reason = try std.fmt.allocPrint(arena, "{s}: {s}", .{ title, why }) };
    }
    std.debug.print("{s}: {d} records are ready\n", .{ title, sync.records });
    const succeeded = try std.json.Stringify.valueAlloc(arena, .{
        .customer_id = sync.customer_id,
        .provider_name = sync.provider_name,
        .object = sync.object,
        .records = sync.records,
    }, .{});
    const emitted = try arena.dupe(Emitted, &.{.{ .event_type = "sync.succeeded", .body = succeeded }});
    return .{ .outcome = .ack, .emit = emitted };
}
