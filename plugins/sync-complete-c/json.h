// As much of JSON as a handler needs: to look into an object, and to write a text.

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

// A value as it stands in a text. `start` is NULL where there is none.
typedef struct {
    const char *start, *end;
} json;

// The object that is all of a text; none if the text is anything else.
json json_object(const char *text);

// An object's member of that name.
json json_member(json object, const char *name);

bool json_is_null(json value);

// A string's text; NULL if it is no string, or has a zero in it.
char *json_text(json value);

// Whether it is a whole number from zero up, and which.
bool json_count(json value, uint64_t *count);

// Writes a text as a string.
void json_write(FILE *file, const char *text);
