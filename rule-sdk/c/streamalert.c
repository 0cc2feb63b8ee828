// Reading records, writing findings, and the component's side of wit/detection.wit. The layout of records is wit/packed.md; nothing
// is checked while reading, since the host, or sa_parse, wrote it.
#include "streamalert.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { KIND_NULL, KIND_FALSE, KIND_TRUE, KIND_I32, KIND_I64, KIND_U64, KIND_F64, KIND_TEXT, KIND_NUMBER, KIND_ARRAY, KIND_OBJECT };
enum { HEADER = 16, SLOT = 8, ENTRY = 16 };

struct sa_record {
    const uint8_t *packed;
    uint32_t row;
    // The host wants to see each read.
    bool watched;
};

// What is imported, or what stands in for it.
static void host_show(uint32_t row, const char *path);
static void host_show_all(uint32_t row);
static bool host_lookup(const char *table, sa_str key, sa_str *json);
static void host_log(int level, sa_str message);
_Noreturn static void host_trap(void);

// -- Memory ---------------------------------------------------------------------------------------------------------------------

// Bytes of a piece of memory for one call; a larger wish gets a piece of its own.
enum { PIECE = 64 << 10 };

typedef struct piece {
    struct piece *before;
    size_t used, room;
    _Alignas(16) char bytes[];
} piece;

static piece *pieces;

void *sa_alloc(size_t bytes) {
    size_t wanted = (bytes + 15) & ~(size_t)15;
    if (pieces == NULL || pieces->room - pieces->used < wanted) {
        size_t room = wanted > PIECE ? wanted : PIECE;
        piece *fresh = wanted < bytes ? NULL : malloc(sizeof(piece) + room);
        if (fresh == NULL) sa_fail("out of memory: no room for %zu bytes", bytes);
        *fresh = (piece){pieces, 0, room};
        pieces = fresh;
    }
    void *at = pieces->bytes + pieces->used;
    pieces->used += wanted;
    return at;
}

// One piece stays, for the next call.
__attribute__((unused)) static void release(void) {
    while (pieces != NULL && (pieces->before != NULL || pieces->room > PIECE)) {
        piece *before = pieces->before;
        free(pieces);
        pieces = before;
    }
    if (pieces != NULL) pieces->used = 0;
}

static sa_str format(const char *form, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int bytes = vsnprintf(NULL, 0, form, again);
    va_end(again);
    if (bytes < 0) bytes = 0;
    char *at = sa_alloc((size_t)bytes + 1);
    vsnprintf(at, (size_t)bytes + 1, form, arguments);
    return (sa_str){at, (size_t)bytes};
}

sa_str sa_format(const char *form, ...) {
    va_list arguments;
    va_start(arguments, form);
    sa_str text = format(form, arguments);
    va_end(arguments);
    return text;
}

// The host takes no text that is no UTF-8: each byte that is no part of it becomes a question mark.
static sa_str clean(sa_str text) {
    char *copy = NULL;
    for (size_t at = 0; at < text.bytes;) {
        const unsigned char *c = (const unsigned char *)text.at + at;
        size_t left = text.bytes - at, more = 0;
        if (c[0] < 0x80) {
            at++;
            continue;
        }
        if (c[0] >= 0xC2 && c[0] <= 0xDF) more = 1;
        else if (c[0] >= 0xE0 && c[0] <= 0xEF) more = 2;
        else if (c[0] >= 0xF0 && c[0] <= 0xF4) more = 3;
        bool good = more > 0 && more < left;
        for (size_t next = 1; good && next <= more; next++) good = (c[next] & 0xC0) == 0x80;
        if (good && ((c[0] == 0xE0 && c[1] < 0xA0) || (c[0] == 0xED && c[1] > 0x9F) || (c[0] == 0xF0 && c[1] < 0x90) ||
                     (c[0] == 0xF4 && c[1] > 0x8F))) {
            good = false;
        }
        if (good) {
            at += more + 1;
            continue;
        }
        if (copy == NULL) {
            copy = sa_alloc(text.bytes);
            memcpy(copy, text.at, text.bytes);
            text.at = copy;
        }
        copy[at++] = '?';
    }
    return text;
}

#define SA_LOG(name, level)                                  \
    void sa_##name(const char *form, ...) {                  \
        va_list arguments;                                   \
        va_start(arguments, form);                           \
        host_log(level, clean(format(form, arguments)));     \
        va_end(arguments);                                   \
    }
SA_LOG(debug, 0)
SA_LOG(info, 1)
SA_LOG(warn, 2)
SA_LOG(error, 3)

// Bytes of the message of a failure: there may be no memory left for more.
enum { MESSAGE = 512 };

_Noreturn void sa_fail(const char *form, ...) {
    static char message[MESSAGE];
    va_list arguments;
    va_start(arguments, form);
    int bytes = vsnprintf(message, sizeof message, form, arguments);
    va_end(arguments);
    if (bytes < 0) bytes = 0;
    if (bytes > MESSAGE - 1) bytes = MESSAGE - 1;
    for (int at = 0; at < bytes; at++) {
        // A character that was cut would be no text.
        if (bytes == MESSAGE - 1 && (unsigned char)message[at] >= 0x80) message[at] = '?';
    }
    host_log(3, (sa_str){message, (size_t)bytes});
    host_trap();
}

// -- Reading --------------------------------------------------------------------------------------------------------------------

static uint32_t u32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static sa_field slot(const uint8_t *record, const uint8_t *at) { return (sa_field){record, u32(at), u32(at + 4)}; }

static unsigned kind(sa_field field) { return field.tag & 15; }
static size_t length(sa_field field) { return field.tag >> 4; }
static const uint8_t *place(sa_field field) { return field.record + field.payload; }

bool sa_field_text(sa_field field, sa_str *text) {
    if (kind(field) != KIND_TEXT && kind(field) != KIND_NUMBER) return false;
    *text = (sa_str){(const char *)place(field), length(field)};
    return true;
}

bool sa_field_int(sa_field field, int64_t *value) {
    if (kind(field) == KIND_I32) {
        *value = (int32_t)field.payload;
        return true;
    }
    if (kind(field) != KIND_I64) return false;
    memcpy(value, place(field), sizeof *value);
    return true;
}

bool sa_field_uint(sa_field field, uint64_t *value) {
    if (kind(field) == KIND_U64) {
        memcpy(value, place(field), sizeof *value);
        return true;
    }
    int64_t integer;
    if (!sa_field_int(field, &integer) || integer < 0) return false;
    *value = (uint64_t)integer;
    return true;
}

// A text of digits as a double.
static bool number(const char *at, size_t bytes, double *value) {
    char *copy = sa_alloc(bytes + 1), *end;
    memcpy(copy, at, bytes);
    copy[bytes] = 0;
    *value = strtod(copy, &end);
    return end == copy + bytes && bytes > 0 && isfinite(*value);
}

bool sa_field_float(sa_field field, double *value) {
    int64_t integer;
    uint64_t natural;
    if (kind(field) == KIND_F64) {
        memcpy(value, place(field), sizeof *value);
    } else if (kind(field) == KIND_NUMBER) {
        return number((const char *)place(field), length(field), value);
    } else if (sa_field_int(field, &integer)) {
        *value = (double)integer;
    } else if (sa_field_uint(field, &natural)) {
        *value = (double)natural;
    } else {
        return false;
    }
    return true;
}

bool sa_field_bool(sa_field field, bool *value) {
    if (kind(field) != KIND_TRUE && kind(field) != KIND_FALSE) return false;
    *value = kind(field) == KIND_TRUE;
    return true;
}

bool sa_field_is_null(sa_field field) { return kind(field) == KIND_NULL; }
bool sa_field_is_list(sa_field field) { return kind(field) == KIND_ARRAY; }
bool sa_field_is_object(sa_field field) { return kind(field) == KIND_OBJECT; }

bool sa_field_len(sa_field field, size_t *count) {
    if (kind(field) != KIND_ARRAY && kind(field) != KIND_OBJECT) return false;
    *count = length(field);
    return true;
}

bool sa_field_item(sa_field field, size_t index, sa_field *found) {
    if (kind(field) != KIND_ARRAY || index >= length(field)) return false;
    *found = slot(field.record, place(field) + index * SLOT);
    return true;
}

bool sa_field_entry(sa_field field, size_t index, sa_str *key, sa_field *value) {
    if (kind(field) != KIND_OBJECT || index >= length(field)) return false;
    const uint8_t *at = place(field) + index * ENTRY;
    *key = (sa_str){(const char *)field.record + u32(at), u32(at + 4)};
    *value = slot(field.record, at + 8);
    return true;
}

// Whether the entry at this place has this key.
static bool has_key(const uint8_t *record, const uint8_t *entry, sa_str key) {
    return u32(entry + 4) == key.bytes && memcmp(record + u32(entry), key.at, key.bytes) == 0;
}

static bool find(sa_field field, sa_str key, size_t *index, sa_field *found) {
    if (kind(field) != KIND_OBJECT) return false;
    const uint8_t *at = place(field);
    for (size_t entry = 0; entry < length(field); entry++, at += ENTRY) {
        if (has_key(field.record, at, key)) {
            *index = entry;
            *found = slot(field.record, at + 8);
            return true;
        }
    }
    return false;
}

bool sa_field_key(sa_field field, sa_str key, sa_field *found) {
    size_t index;
    return find(field, key, &index, found);
}

// One step of a path: a key of an object, or the number of an item.
static bool step(sa_field field, sa_str key, sa_field *found) {
    if (kind(field) != KIND_ARRAY) return sa_field_key(field, key, found);
    size_t index = 0;
    if (key.bytes == 0 || key.bytes > 9) return false;
    for (size_t at = 0; at < key.bytes; at++) {
        if (key.at[at] < '0' || key.at[at] > '9') return false;
        index = index * 10 + (size_t)(key.at[at] - '0');
    }
    return sa_field_item(field, index, found);
}

// A path taken apart once, and for each shape of records the places where its keys were found: one comparison confirms a place, and
// that a key is not there needs no search at all.
enum { PATHS = 256, SHAPES = 16, PLACES = 3, ABSENT = 0xffff, UNKNOWN = 0xfffe };

typedef struct {
    const char *address;
    char *text;
    size_t count;
    sa_str *steps;
    struct {
        uint32_t shape;
        uint16_t at[PLACES];
    } shapes[SHAPES];
} path_cache;

static path_cache *paths[PATHS];

static void *keep(size_t bytes) {
    void *at = malloc(bytes);
    if (at == NULL) sa_fail("out of memory: no room for %zu bytes", bytes);
    return at;
}

// Steps of a path: it is divided at its dots, `\` takes the next character as it is. The steps lie in one piece of memory.
static path_cache *take_apart(const char *text) {
    size_t bytes = strlen(text), count = 1;
    for (size_t at = 0; at < bytes; at++) count += text[at] == '.';
    path_cache *path = keep(sizeof *path + count * sizeof(sa_str) + 2 * (bytes + 1));
    memset(path, 0, sizeof *path);
    path->address = text;
    path->steps = (sa_str *)(path + 1);
    path->text = (char *)(path->steps + count);
    memcpy(path->text, text, bytes + 1);
    char *out = path->text + bytes + 1;
    sa_str *one = path->steps;
    *one = (sa_str){out, 0};
    for (size_t at = 0; at < bytes; at++) {
        if (text[at] == '.') {
            *++one = (sa_str){out, 0};
            continue;
        }
        if (text[at] == '\\' && at + 1 < bytes) at++;
        *out++ = text[at];
        one->bytes++;
    }
    path->count = (size_t)(one - path->steps) + 1;
    return path;
}

#ifdef __wasm__
// A text among the program's constants is the same as long as it is in the same place.
extern char __global_base, __data_end;
static bool is_constant(const char *text) { return text >= &__global_base && text < &__data_end; }
#else
static bool is_constant(const char *text) { (void)text; return false; }
#endif

static bool walk(path_cache *path, const uint8_t *record, sa_field *found) {
    uint32_t shape = u32(record + 12);
    typeof(path->shapes[0]) *places = &path->shapes[shape % SHAPES];
    if (places->shape != shape) {
        places->shape = shape;
        for (size_t at = 0; at < PLACES; at++) places->at[at] = UNKNOWN;
    }
    sa_field field = slot(record, record);
    for (size_t at = 0; at < path->count; at++) {
        sa_str key = path->steps[at];
        if (at >= PLACES || kind(field) != KIND_OBJECT) {
            if (!step(field, key, &field)) return false;
            continue;
        }
        uint16_t *known = &places->at[at];
        if (*known < UNKNOWN && *known < length(field)) {
            const uint8_t *entry = place(field) + *known * (size_t)ENTRY;
            // The root's keys are what a shape vouches for: where the first was found once, there it is.
            if ((at == 0 && shape != 0) || has_key(record, entry, key)) {
                field = slot(record, entry + 8);
                continue;
            }
        }
        if (*known == ABSENT) return false;
        size_t index;
        if (!find(field, key, &index, &field)) {
            if (at == 0 && shape != 0) *known = ABSENT;
            return false;
        }
        if (index < UNKNOWN) *known = (uint16_t)index;
    }
    *found = field;
    return true;
}

bool sa_get(const sa_record *record, const char *path, sa_field *found) {
    if (record->watched) host_show(record->row, path);
    uintptr_t address = (uintptr_t)path;
    path_cache **known = &paths[(address ^ address >> 8) % PATHS];
    bool is = *known != NULL && (((*known)->address == path && is_constant(path)) || strcmp((*known)->text, path) == 0);
    if (!is) {
        free(*known);
        *known = take_apart(path);
        // A shape of 0 vouches for nothing, and is what the cache begins with.
        for (size_t at = 0; at < PLACES; at++) (*known)->shapes[0].at[at] = UNKNOWN;
    }
    return walk(*known, record->packed, found);
}

sa_field sa_root(const sa_record *record) {
    if (record->watched) host_show_all(record->row);
    return slot(record->packed, record->packed);
}

sa_str sa_json(const sa_record *record) { return sa_field_json(sa_root(record)); }

bool sa_field_at(sa_field field, const char *path, sa_field *found) {
    path_cache *apart = take_apart(path);
    bool there = true;
    for (size_t at = 0; there && at < apart->count; at++) there = step(field, apart->steps[at], &field);
    free(apart);
    *found = field;
    return there;
}

bool sa_is_any(const sa_record *record, const char *path, sa_texts texts) {
    sa_str found;
    if (!sa_text(record, path, &found)) return false;
    for (; *texts != NULL; texts++) {
        if (sa_same(found, sa_s(*texts))) return true;
    }
    return false;
}

void sa_next_item(sa_item *item) { item->there = sa_field_item(item->of, item->next++, &item->field); }

void sa_next_text(sa_item *item) {
    do sa_next_item(item);
    while (item->there && !sa_field_text(item->field, &item->text));
}

sa_item sa_first_field_item(sa_field field) {
    sa_item item = {.of = field};
    sa_next_item(&item);
    return item;
}

sa_item sa_first_item(const sa_record *record, const char *path) {
    sa_field field;
    return sa_get(record, path, &field) ? sa_first_field_item(field) : (sa_item){0};
}

sa_item sa_first_text(const sa_record *record, const char *path) {
    sa_item item = {0};
    if (!sa_get(record, path, &item.of)) return item;
    if (sa_field_text(item.of, &item.text)) {
        item.there = true;
        item.next = SIZE_MAX;
        item.of = (sa_field){0};
        return item;
    }
    sa_next_text(&item);
    return item;
}

// -- JSON -----------------------------------------------------------------------------------------------------------------------

static void put(sa_writer *json, const char *at, size_t bytes) {
    if (json->room - json->bytes < bytes) {
        size_t room = (json->bytes + bytes) * 2 + 64;
        char *larger = sa_alloc(room);
        if (json->bytes > 0) memcpy(larger, json->at, json->bytes);
        json->at = larger;
        json->room = room;
    }
    memcpy(json->at + json->bytes, at, bytes);
    json->bytes += bytes;
}

// A comma, unless something was opened just now.
static void next(sa_writer *json) {
    char last = json->bytes > 0 ? json->at[json->bytes - 1] : '[';
    if (last != '[' && last != '{' && last != ':') put(json, ",", 1);
}

void sa_begin_object(sa_writer *json) { next(json); put(json, "{", 1); }
void sa_end_object(sa_writer *json) { put(json, "}", 1); }
void sa_begin_list(sa_writer *json) { next(json); put(json, "[", 1); }
void sa_end_list(sa_writer *json) { put(json, "]", 1); }

static void quoted(sa_writer *json, sa_str text) {
    text = clean(text);
    put(json, "\"", 1);
    size_t plain = 0;
    for (size_t at = 0; at < text.bytes; at++) {
        unsigned char c = (unsigned char)text.at[at];
        if (c >= ' ' && c != '"' && c != '\\') continue;
        put(json, text.at + plain, at - plain);
        plain = at + 1;
        char escaped[8];
        int bytes = c >= ' ' ? snprintf(escaped, sizeof escaped, "\\%c", c) : snprintf(escaped, sizeof escaped, "\\u%04x", c);
        put(json, escaped, (size_t)bytes);
    }
    put(json, text.at + plain, text.bytes - plain);
    put(json, "\"", 1);
}

void sa_key(sa_writer *json, sa_str key) {
    next(json);
    quoted(json, key);
    put(json, ":", 1);
}

void sa_put_text(sa_writer *json, sa_str value) { next(json); quoted(json, value); }
void sa_put_bool(sa_writer *json, bool value) { next(json); put(json, value ? "true" : "false", value ? 4 : 5); }
void sa_put_null(sa_writer *json) { next(json); put(json, "null", 4); }

static void put_formatted(sa_writer *json, const char *form, ...) {
    char text[64];
    va_list arguments;
    va_start(arguments, form);
    int bytes = vsnprintf(text, sizeof text, form, arguments);
    va_end(arguments);
    next(json);
    put(json, text, (size_t)bytes);
}

void sa_put_int(sa_writer *json, int64_t value) { put_formatted(json, "%lld", (long long)value); }
void sa_put_uint(sa_writer *json, uint64_t value) { put_formatted(json, "%llu", (unsigned long long)value); }

// The shortest digits that mean the same number, and what says that it is no integer. JSON has none that is not finite.
void sa_put_float(sa_writer *json, double value) {
    char text[40];
    if (!isfinite(value)) {
        sa_put_null(json);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    put_formatted(json, "%s%s", text, strpbrk(text, ".e") == NULL ? ".0" : "");
}

void sa_put_field(sa_writer *json, sa_field field) {
    sa_str text = {0};
    int64_t integer;
    uint64_t natural;
    double number;
    sa_field value;
    switch (kind(field)) {
    case KIND_NULL:
        sa_put_null(json);
        return;
    case KIND_FALSE:
    case KIND_TRUE:
        sa_put_bool(json, kind(field) == KIND_TRUE);
        return;
    case KIND_I32:
    case KIND_I64:
        sa_field_int(field, &integer);
        sa_put_int(json, integer);
        return;
    case KIND_U64:
        sa_field_uint(field, &natural);
        sa_put_uint(json, natural);
        return;
    case KIND_F64:
        sa_field_float(field, &number);
        sa_put_float(json, number);
        return;
    case KIND_TEXT:
        sa_field_text(field, &text);
        sa_put_text(json, text);
        return;
    case KIND_NUMBER:
        // As it was written.
        sa_field_text(field, &text);
        next(json);
        put(json, text.at, text.bytes);
        return;
    case KIND_ARRAY:
        sa_begin_list(json);
        for (size_t at = 0; sa_field_item(field, at, &value); at++) sa_put_field(json, value);
        sa_end_list(json);
        return;
    default:
        sa_begin_object(json);
        for (size_t at = 0; sa_field_entry(field, at, &text, &value); at++) {
            sa_key(json, text);
            sa_put_field(json, value);
        }
        sa_end_object(json);
    }
}

sa_str sa_field_json(sa_field field) {
    sa_writer json = {0};
    sa_put_field(&json, field);
    return sa_written(&json);
}

// JSON text becomes a packed record.
enum { DEPTH = 128 };

typedef struct {
    const char *at, *end;
    uint8_t *out;
    size_t bytes, room;
} parser;

typedef struct {
    uint32_t tag, payload;
} packed_slot;

static size_t emit(parser *p, const void *data, size_t bytes) {
    if (p->room - p->bytes < bytes) {
        size_t room = (p->bytes + bytes) * 2 + 64;
        uint8_t *larger = sa_alloc(room);
        if (p->bytes > 0) memcpy(larger, p->out, p->bytes);
        p->out = larger;
        p->room = room;
    }
    if (bytes > 0) memcpy(p->out + p->bytes, data, bytes);
    p->bytes += bytes;
    return p->bytes - bytes;
}

static bool comes(parser *p, char c) {
    while (p->at < p->end && strchr(" \t\n\r", *p->at) != NULL && *p->at != 0) p->at++;
    if (p->at == p->end || *p->at != c) return false;
    p->at++;
    return true;
}

static bool word(parser *p, const char *text, unsigned kind_of, packed_slot *slot_of) {
    size_t bytes = strlen(text);
    if ((size_t)(p->end - p->at) < bytes || memcmp(p->at, text, bytes) != 0) return false;
    p->at += bytes;
    *slot_of = (packed_slot){kind_of, 0};
    return true;
}

static bool hex(parser *p, uint32_t *value) {
    *value = 0;
    for (int digit = 0; digit < 4; digit++, p->at++) {
        if (p->at == p->end) return false;
        char c = *p->at | 0x20;
        if (*p->at >= '0' && *p->at <= '9') *value = *value << 4 | (uint32_t)(*p->at - '0');
        else if (c >= 'a' && c <= 'f') *value = *value << 4 | (uint32_t)(c - 'a' + 10);
        else return false;
    }
    return true;
}

static bool escape(parser *p) {
    if (++p->at == p->end) return false;
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = *p->at++;
    const char *known = c == 0 ? NULL : strchr(from, c);
    if (known != NULL) {
        emit(p, to + (known - from), 1);
        return true;
    }
    uint32_t code, low;
    if (c != 'u' || !hex(p, &code)) return false;
    if (code >= 0xD800 && code < 0xE000) {
        if (code >= 0xDC00 || p->end - p->at < 6 || p->at[0] != '\\' || p->at[1] != 'u') return false;
        p->at += 2;
        if (!hex(p, &low) || low < 0xDC00 || low >= 0xE000) return false;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    char out[4];
    size_t bytes = 0;
    if (code < 0x80) out[bytes++] = (char)code;
    else if (code < 0x800) out[bytes++] = (char)(0xC0 | code >> 6);
    else if (code < 0x10000) out[bytes++] = (char)(0xE0 | code >> 12);
    else out[bytes++] = (char)(0xF0 | code >> 18);
    if (code >= 0x10000) out[bytes++] = (char)(0x80 | (code >> 12 & 63));
    if (code >= 0x800) out[bytes++] = (char)(0x80 | (code >> 6 & 63));
    if (code >= 0x80) out[bytes++] = (char)(0x80 | (code & 63));
    emit(p, out, bytes);
    return true;
}

static bool parse_text(parser *p, packed_slot *found) {
    size_t start = p->bytes;
    for (p->at++; p->at < p->end && *p->at != '"';) {
        if ((unsigned char)*p->at < ' ') return false;
        if (*p->at == '\\') {
            if (!escape(p)) return false;
        } else {
            emit(p, p->at++, 1);
        }
    }
    if (p->at == p->end) return false;
    p->at++;
    *found = (packed_slot){(uint32_t)(p->bytes - start) << 4 | KIND_TEXT, (uint32_t)start};
    return true;
}

static bool digits(parser *p) {
    const char *from = p->at;
    while (p->at < p->end && *p->at >= '0' && *p->at <= '9') p->at++;
    return p->at > from;
}

static bool parse_number(parser *p, packed_slot *found) {
    const char *start = p->at;
    bool integer = true;
    if (*p->at == '-') p->at++;
    // No digit follows a leading zero.
    if (p->at < p->end && *p->at == '0') p->at++;
    else if (!digits(p)) return false;
    if (p->at < p->end && *p->at == '.') {
        integer = false;
        p->at++;
        if (!digits(p)) return false;
    }
    if (p->at < p->end && (*p->at | 0x20) == 'e') {
        integer = false;
        p->at++;
        if (p->at < p->end && (*p->at == '+' || *p->at == '-')) p->at++;
        if (!digits(p)) return false;
    }
    sa_str text = sa_format("%.*s", (int)(p->at - start), start);
    if (integer) {
        errno = 0;
        int64_t value = strtoll(text.at, NULL, 10);
        if (errno == 0) {
            if (value == (int32_t)value) *found = (packed_slot){KIND_I32, (uint32_t)(int32_t)value};
            else *found = (packed_slot){KIND_I64, (uint32_t)emit(p, &value, sizeof value)};
            return true;
        }
        errno = 0;
        uint64_t natural = strtoull(text.at, NULL, 10);
        if (errno == 0 && *start != '-') {
            *found = (packed_slot){KIND_U64, (uint32_t)emit(p, &natural, sizeof natural)};
            return true;
        }
    }
    double value;
    if (!number(text.at, text.bytes, &value)) return false;
    *found = (packed_slot){KIND_F64, (uint32_t)emit(p, &value, sizeof value)};
    return true;
}

typedef struct {
    uint32_t key, bytes;
    packed_slot value;
} packed_entry;

static bool parse_value(parser *p, int depth, packed_slot *found);

// Items or entries, gathered in memory that grows, then written behind what they hold.
static bool parse_many(parser *p, int depth, bool object, packed_slot *found) {
    packed_entry *many = NULL;
    size_t count = 0, room = 0;
    char end = object ? '}' : ']';
    for (p->at++; !comes(p, end); count++) {
        if (count > 0 && !comes(p, ',')) return false;
        if (count == room) {
            room = room * 2 + 8;
            packed_entry *larger = sa_alloc(room * sizeof *larger);
            if (count > 0) memcpy(larger, many, count * sizeof *larger);
            many = larger;
        }
        packed_entry entry = {0};
        if (object) {
            packed_slot key;
            if (!comes(p, '"')) return false;
            p->at--;
            if (!parse_text(p, &key) || !comes(p, ':')) return false;
            entry.key = key.payload;
            entry.bytes = key.tag >> 4;
        }
        if (!parse_value(p, depth + 1, &entry.value)) return false;
        many[count] = entry;
    }
    size_t start = p->bytes;
    if (object) {
        emit(p, many, count * sizeof *many);
    } else {
        for (size_t at = 0; at < count; at++) emit(p, &many[at].value, sizeof many[at].value);
    }
    *found = (packed_slot){(uint32_t)count << 4 | (object ? KIND_OBJECT : KIND_ARRAY), (uint32_t)start};
    return true;
}

static bool parse_value(parser *p, int depth, packed_slot *found) {
    if (depth > DEPTH) return false;
    comes(p, 0);
    if (p->at == p->end) return false;
    switch (*p->at) {
    case '{':
    case '[':
        return parse_many(p, depth, *p->at == '{', found);
    case '"':
        return parse_text(p, found);
    case 'n':
        return word(p, "null", KIND_NULL, found);
    case 't':
        return word(p, "true", KIND_TRUE, found);
    case 'f':
        return word(p, "false", KIND_FALSE, found);
    default:
        return (*p->at == '-' || (*p->at >= '0' && *p->at <= '9')) && parse_number(p, found);
    }
}

// A packed record of JSON text; NULL for what is none.
static const uint8_t *parse(sa_str json) {
    parser p = {.at = json.at, .end = json.at + json.bytes};
    emit(&p, (char[HEADER]){0}, HEADER);
    packed_slot root;
    if (!parse_value(&p, 0, &root)) return NULL;
    comes(&p, 0);
    if (p.at != p.end) return NULL;
    memcpy(p.out, &root, sizeof root);
    uint32_t bytes = (uint32_t)p.bytes;
    memcpy(p.out + 8, &bytes, sizeof bytes);
    return p.out;
}

sa_field sa_safe_json(sa_str text) {
    const uint8_t *record = parse(text);
    if (record == NULL) record = parse(sa_s("{}"));
    return slot(record, record);
}

bool sa_lookup(const char *table, sa_str key, sa_field *value) {
    sa_str json;
    if (!host_lookup(table, clean(key), &json)) return false;
    const uint8_t *record = parse(json);
    if (record == NULL) {
        sa_error("lookup table %s, key %.*s: no JSON", table, SA_PRINT(key));
        return false;
    }
    *value = slot(record, record);
    return true;
}

bool sa_lookup_contains(const char *table, sa_str key) {
    sa_str json;
    return host_lookup(table, clean(key), &json);
}

// -- Rules and findings ---------------------------------------------------------------------------------------------------------

// By name, since the host knows a rule by its place, which must not depend on the order of files.
static sa_rule *rules;

void sa_add(sa_rule *rule) {
    sa_rule **at = &rules;
    while (*at != NULL && strcmp((*at)->name, rule->name) <= 0) at = &(*at)->next;
    rule->next = *at;
    *at = rule;
}

enum { OUTPUTS = 64 };

struct sa_finding {
    sa_str title, dedup_key;
    sa_severity severity;
    sa_writer context;
    sa_str outputs[OUTPUTS];
    size_t output_count;
};

static sa_str copy(sa_str text) {
    char *at = sa_alloc(text.bytes + 1);
    memcpy(at, text.at, text.bytes);
    at[text.bytes] = 0;
    return (sa_str){at, text.bytes};
}

void sa_title(sa_finding *finding, sa_str title) { finding->title = copy(clean(title)); }
void sa_set_severity(sa_finding *finding, sa_severity severity) { finding->severity = severity; }
void sa_dedup_key(sa_finding *finding, sa_str key) { finding->dedup_key = copy(clean(key)); }

// What is too many is no output's: the host takes fewer.
void sa_output(sa_finding *finding, const char *output) {
    if (finding->output_count < OUTPUTS) finding->outputs[finding->output_count++] = copy(clean(sa_s(output)));
}

static sa_writer *entry(sa_finding *finding, const char *key) {
    sa_writer *json = &finding->context;
    if (json->bytes == 0) sa_begin_object(json);
    sa_key(json, sa_s(key));
    return json;
}

void sa_context_text(sa_finding *finding, const char *key, sa_str value) { sa_put_text(entry(finding, key), value); }
void sa_context_int(sa_finding *finding, const char *key, int64_t value) { sa_put_int(entry(finding, key), value); }
void sa_context_float(sa_finding *finding, const char *key, double value) { sa_put_float(entry(finding, key), value); }
void sa_context_bool(sa_finding *finding, const char *key, bool value) { sa_put_bool(entry(finding, key), value); }
void sa_context_field(sa_finding *finding, const char *key, sa_field value) { sa_put_field(entry(finding, key), value); }
void sa_context_json(sa_finding *finding, const char *key, sa_str json) {
    sa_writer *to = entry(finding, key);
    put(to, json.at, json.bytes);
}

__attribute__((unused)) static sa_str context(const sa_finding *finding) {
    if (finding->context.bytes == 0) return (sa_str){0};
    sa_writer json = finding->context;
    sa_end_object(&json);
    return sa_written(&json);
}

__attribute__((unused)) static void put_texts(sa_writer *json, const char *name, sa_texts texts) {
    if (texts == NULL || *texts == NULL) return;
    sa_key(json, sa_s(name));
    sa_begin_list(json);
    for (; *texts != NULL; texts++) sa_put_text(json, sa_s(*texts));
    sa_end_list(json);
}

// The options of a rule, as wit/detection.wit has them.
__attribute__((unused)) static sa_str options(const sa_rule *rule) {
    static const char *const severities[] = {"", "info", "low", "medium", "high", "critical"};
    sa_writer json = {0};
    sa_begin_object(&json);
    put_texts(&json, "datatypes", rule->datatypes);
    put_texts(&json, "outputs", rule->outputs);
    if (rule->publishers_of != NULL) {
        sa_key(&json, sa_s("publishers"));
        put(&json, rule->publishers_of, strlen(rule->publishers_of));
    } else if (rule->publishers != NULL && rule->publishers[0] != NULL && rule->publishers[1] == NULL) {
        sa_key(&json, sa_s("publishers"));
        sa_put_text(&json, sa_s(rule->publishers[0]));
    } else {
        put_texts(&json, "publishers", rule->publishers);
    }
    if (rule->merge != NULL) {
        sa_key(&json, sa_s("merge"));
        sa_begin_object(&json);
        put_texts(&json, "by", rule->merge->by);
        sa_key(&json, sa_s("minutes"));
        sa_put_uint(&json, rule->merge->minutes);
        if (rule->merge->on != NULL) { sa_key(&json, sa_s("on")); sa_put_text(&json, sa_s(rule->merge->on)); }
        if (rule->merge->first != NULL) { sa_key(&json, sa_s("first")); sa_put_text(&json, sa_s(rule->merge->first)); }
        if (rule->merge->max != 0) { sa_key(&json, sa_s("max")); sa_put_uint(&json, rule->merge->max); }
        if (rule->merge->threshold != 0) { sa_key(&json, sa_s("threshold")); sa_put_uint(&json, rule->merge->threshold); }
        sa_end_object(&json);
    }
    if (rule->context != NULL) {
        sa_key(&json, sa_s("context"));
        put(&json, rule->context, strlen(rule->context));
    }
    if (rule->severity != SA_NO_SEVERITY) {
        sa_key(&json, sa_s("severity"));
        sa_put_text(&json, sa_s(severities[rule->severity]));
    }
    put_texts(&json, "tags", rule->tags);
    put_texts(&json, "references", rule->references);
    put_texts(&json, "tests", rule->tests);
    sa_end_object(&json);
    return sa_written(&json);
}

#include "worlds.inc"

#ifdef __wasm__
#include "guest.inc"
#if defined SA_WORLD_PARSER
#include "guest_parser.inc"
#elif defined SA_WORLD_PUBLISHER
#include "guest_publisher.inc"
#else
#include "guest_rule.inc"
#endif
#else
#include "native.inc"
#endif
