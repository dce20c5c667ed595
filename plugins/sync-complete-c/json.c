#include "json.h"

#include <stdlib.h>
#include <string.h>

// How deep values may lie in each other.
enum { DEPTH = 100 };

static const char *value(const char *at, int depth);

static const char *space(const char *at) {
    while (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n') at++;
    return at;
}

// Each of these gives the place behind what it reads, or NULL if that is not there.

static const char *literal(const char *at, const char *word) {
    while (*word) {
        if (*at++ != *word++) return NULL;
    }
    return at;
}

static const char *hex4(const char *at, uint32_t *code) {
    *code = 0;
    for (int i = 0; i < 4; i++, at++) {
        const char *digits = "0123456789abcdef0123456789ABCDEF";
        const char *digit = *at ? strchr(digits, *at) : NULL;
        if (!digit) return NULL;
        *code = *code << 4 | ((uint32_t)(digit - digits) & 15);
    }
    return at;
}

// A character behind `\u`, which may be in two halves.
static const char *escaped(const char *at, uint32_t *code) {
    uint32_t low;
    at = hex4(at, code);
    if (!at || *code < 0xd800 || *code > 0xdfff) return at;
    if (*code > 0xdbff || at[0] != '\\' || at[1] != 'u') return NULL;
    at = hex4(at + 2, &low);
    if (!at || low < 0xdc00 || low > 0xdfff) return NULL;
    *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
    return at;
}

static char *utf8(char *to, uint32_t code) {
    if (code < 0x80) {
        *to++ = (char)code;
        return to;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t marks[] = {0, 0xc0, 0xe0, 0xf0};
    *to++ = (char)(marks[more] | code >> (6 * more));
    while (more-- > 0) *to++ = (char)(0x80 | (code >> (6 * more) & 0x3f));
    return to;
}

// `text`, unless it is NULL, gets what the string says, and is moved behind that: never more bytes
// than the string is written in.
static const char *string(const char *at, char **text) {
    if (*at++ != '"') return NULL;
    while (*at != '"') {
        uint32_t code = (uint8_t)*at++;
        if (code < 0x20) return NULL;
        if (code != '\\') {
            if (text) *(*text)++ = (char)code;
            continue;
        }
        static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
        const char *name = *at ? strchr(names, *at) : NULL;
        code = name ? (uint8_t)meant[name - names] : 0;
        at = *at == 'u' ? escaped(at + 1, &code) : name ? at + 1 : NULL;
        if (!at) return NULL;
        if (text) *text = utf8(*text, code);
    }
    return at + 1;
}

static const char *digits(const char *at) {
    if (*at < '0' || *at > '9') return NULL;
    while (*at >= '0' && *at <= '9') at++;
    return at;
}

static const char *number(const char *at) {
    if (*at == '-') at++;
    at = *at == '0' ? at + 1 : digits(at);
    if (at && *at == '.') at = digits(at + 1);
    if (at && (*at == 'e' || *at == 'E')) at = digits(at + 1 + (at[1] == '+' || at[1] == '-'));
    return at;
}

static const char *list(const char *at, char end, int depth) {
    if (*(at = space(at + 1)) == end) return at + 1;
    for (;; at++) {
        if (end == '}') {
            at = string(space(at), NULL);
            if (!at || *(at = space(at)) != ':') return NULL;
            at++;
        }
        at = value(space(at), depth + 1);
        if (!at) return NULL;
        at = space(at);
        if (*at != ',') return *at == end ? at + 1 : NULL;
    }
}

static const char *value(const char *at, int depth) {
    if (depth > DEPTH) return NULL;
    switch (*at) {
        case '{': return list(at, '}', depth);
        case '[': return list(at, ']', depth);
        case '"': return string(at, NULL);
        case 't': return literal(at, "true");
        case 'f': return literal(at, "false");
        case 'n': return literal(at, "null");
        default: return number(at);
    }
}

json json_object(const char *text) {
    const char *start = space(text);
    const char *end = *start == '{' ? value(start, 0) : NULL;
    if (!end || *space(end)) return (json){0};
    return (json){start, end};
}

json json_member(json object, const char *name) {
    const char *at = space(object.start + 1);
    while (*at == '"') {
        const char *colon = space(string(at, NULL));
        char *key = json_text((json){at, colon});
        bool is_it = key && strcmp(key, name) == 0;
        free(key);
        const char *start = space(colon + 1);
        const char *end = value(start, 0);
        if (is_it) return (json){start, end};
        at = space(space(end) + 1);
    }
    return (json){0};
}

bool json_is_null(json value) {
    return value.start && *value.start == 'n';
}

char *json_text(json value) {
    if (!value.start || *value.start != '"') return NULL;
    char *text = malloc((size_t)(value.end - value.start)), *end = text;
    if (!text) return NULL;
    string(value.start, &end);
    *end = 0;
    return strlen(text) == (size_t)(end - text) ? text : NULL;
}

bool json_count(json value, uint64_t *count) {
    const char *at = value.start;
    for (*count = 0; at && at < value.end; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (*at < '0' || *at > '9' || *count > (UINT64_MAX - digit) / 10) return false;
        *count = *count * 10 + digit;
    }
    return at;
}

void json_write(FILE *file, const char *text) {
    putc('"', file);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') putc('\\', file);
        if ((uint8_t)*text < 0x20) fprintf(file, "\\u%04x", *text);
        else putc(*text, file);
    }
    putc('"', file);
}
