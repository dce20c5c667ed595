// What an integration does when Supaglue says that a sync is complete: of one that succeeded it
// emits an event, for whoever goes on with the new records; one that failed it tries again later.
//
// A handler as a WASI command: the event comes as JSON on stdin, what it prints to stdout is the
// outcome, and stderr is its log.

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

#define EVENT "sync.complete"

// What is read of a sync.complete event.
typedef struct {
    char *customer, *provider, *object, *error;
    bool has_failed;
    uint64_t records;
} sync;

// Ends with an outcome that has a reason, given in parts up to a NULL.
static _Noreturn void end(const char *outcome, const char *const parts[]) {
    size_t length = 1;
    for (const char *const *part = parts; *part; part++) length += strlen(*part);
    char *reason = calloc(length, 1);
    if (!reason) abort();
    for (const char *const *part = parts; *part; part++) strcat(reason, *part);
    printf("{\"outcome\":\"%s\",\"reason\":", outcome);
    json_write(stdout, reason);
    puts("}");
    exit(0);
}

static _Noreturn void reject(const char *why) {
    end("reject", (const char *[]){"not a " EVENT ": ", why, NULL});
}

// The member of that name, which must be a text.
static char *text(json object, const char *name) {
    char *text = json_text(json_member(object, name));
    if (!text) end("reject", (const char *[]){"not a " EVENT ": no text in ", name, NULL});
    return text;
}

// Whether the member of that name is there, and not null.
static bool has(json object, const char *name) {
    json value = json_member(object, name);
    return value.start && !json_is_null(value);
}

static sync parse(const char *body) {
    json object = json_object(body);
    if (!object.start) reject("no JSON object");
    char *event = text(object, "webhook_event_type");
    if (strcmp(event, EVENT) != 0) reject(event);
    char *result = text(object, "result");
    sync sync = {
        .customer = text(object, "customer_id"),
        .provider = text(object, "provider_name"),
        .object = text(object, "object"),
        .error = has(object, "error_message") ? text(object, "error_message") : "no reason given",
        .has_failed = strcmp(result, "ERROR") == 0,
    };
    if (!sync.has_failed && strcmp(result, "SUCCESS") != 0) reject(result);
    if (has(object, "num_records_synced") &&
        !json_count(json_member(object, "num_records_synced"), &sync.records))
        reject("num_records_synced is no number of records");
    return sync;
}

// Everything on stdin.
static char *input(void) {
    char *text = NULL;
    for (size_t length = 0, room = 0;;) {
        if (room - length < 2 && !(text = realloc(text, room = room * 2 + 4096))) abort();
        size_t read = fread(text + length, 1, room - length - 1, stdin);
        text[length += read] = 0;
        if (!read) return text;
    }
}

int main(void) {
    json event = json_object(input());
    if (!event.start) abort();
    char *body = json_text(json_member(event, "body"));
    // What is no UTF-8 comes in another member.
    if (!body) reject("no JSON object");
    sync sync = parse(body);
    if (sync.has_failed) {
        const char *const parts[] = {
            sync.provider, " ", sync.object, " of ", sync.customer, ": ", sync.error, NULL,
        };
        end("retry", parts);
    }
    fprintf(stderr, "%s %s of %s: %" PRIu64 " records are ready\n", sync.provider, sync.object,
            sync.customer, sync.records);
    // The body is JSON in a string of JSON.
    char *emitted = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&emitted, &length);
    if (!file) abort();
    fputs("{\"customer_id\":", file);
    json_write(file, sync.customer);
    fputs(",\"provider_name\":", file);
    json_write(file, sync.provider);
    fputs(",\"object\":", file);
    json_write(file, sync.object);
    fprintf(file, ",\"records\":%" PRIu64 "}", sync.records);
    fclose(file);
    fputs("{\"outcome\":\"ack\",\"emit\":[{\"event_type\":\"sync.succeeded\",\"body\":", stdout);
    json_write(stdout, emitted);
    puts("}]}");
}
