// Rules in C. A rule is a function under SA_RULE; nothing else has to be registered.
//
//   #include <streamalert.h>
//
//   SA_RULE(root_login,
//           .description = "Somebody logged in as root.",
//           .logs = SA_TEXTS("cloudtrail:events"),
//           .when = SA_WHEN(SA_EQUALS("eventName", "ConsoleLogin")))
//   {
//       return sa_is(record, "responseElements.ConsoleLogin", "Success");
//   }
//
// Built for WebAssembly, files of such rules are a component that StreamAlert loads. Built for the machine at hand, the same
// functions are ordinary functions, so that tests need no WebAssembly.
#ifndef STREAMALERT_H
#define STREAMALERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// A text by its place and length, in UTF-8; no zero ends it. Texts of a record lie where the host put it, and are good until the
// rule returns.
typedef struct {
    const char *at;
    size_t bytes;
} sa_str;

static inline sa_str sa_s(const char *text) { return (sa_str){text, strlen(text)}; }

static inline bool sa_same(sa_str a, sa_str b) { return a.bytes == b.bytes && memcmp(a.at, b.at, a.bytes) == 0; }

// For printf: printf("%.*s", SA_PRINT(text)).
#define SA_PRINT(text) ((int)(text).bytes), (text).at

// A list of texts, as in SA_TEXTS("a", "b").
typedef const char *const *sa_texts;
#define SA_TEXTS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(,) NULL})

// -- Records --------------------------------------------------------------------------------------------------------------------

// A log record. Values are found by path: "userIdentity.arn", with "\\." for a dot inside a key and a number for an item of a
// list, "resources.0.type". Nothing is converted: a text of digits is no integer, and the integer 1 is not true.
typedef struct sa_record sa_record;

// One value within a record. An explaining host is shown where the walk began, not its steps.
typedef struct {
    const uint8_t *record;
    uint32_t tag, payload;
} sa_field;

// What is at path, to be walked on from there. False: nothing there.
bool sa_get(const sa_record *record, const char *path, sa_field *field);
// The whole record, to be walked.
sa_field sa_root(const sa_record *record);
// The whole record as JSON text.
sa_str sa_json(const sa_record *record);

// Of a field. False: it is something else. A number that fits neither 64 bits nor a double counts as text, as it was written; 1.0
// is no integer; a float is any number, rounded where a double does not hold it.
bool sa_field_text(sa_field field, sa_str *text);
bool sa_field_int(sa_field field, int64_t *value);
bool sa_field_uint(sa_field field, uint64_t *value);
bool sa_field_float(sa_field field, double *value);
bool sa_field_bool(sa_field field, bool *value);
bool sa_field_is_null(sa_field field);
bool sa_field_is_list(sa_field field);
bool sa_field_is_object(sa_field field);
// How many items or entries. False: neither list nor object.
bool sa_field_len(sa_field field, size_t *length);
// What lies at path from here; the value under this very key, whatever dots it has; an item of a list. False: nothing.
bool sa_field_at(sa_field field, const char *path, sa_field *found);
bool sa_field_key(sa_field field, sa_str key, sa_field *found);
bool sa_field_item(sa_field field, size_t index, sa_field *found);
// An entry of an object by its place, in the order of the log. False: no object, or a smaller one.
bool sa_field_entry(sa_field field, size_t index, sa_str *key, sa_field *value);
sa_str sa_field_json(sa_field field);

#define SA_READ(name, type)                                                                             \
    static inline bool sa_##name(const sa_record *record, const char *path, type *value) {              \
        sa_field field;                                                                                 \
        return sa_get(record, path, &field) && sa_field_##name(field, value);                           \
    }
// The value at path. False: nothing there, or something else.
SA_READ(text, sa_str)
SA_READ(int, int64_t)
SA_READ(uint, uint64_t)
SA_READ(float, double)
SA_READ(bool, bool)
SA_READ(len, size_t)
#undef SA_READ

// The text at path, or otherwise where sa_text has none.
static inline sa_str sa_text_or(const sa_record *record, const char *path, const char *otherwise) {
    sa_str text;
    return sa_text(record, path, &text) ? text : sa_s(otherwise);
}

// Whether anything is at path, a null too.
static inline bool sa_exists(const sa_record *record, const char *path) {
    sa_field field;
    return sa_get(record, path, &field);
}

// Whether a null is at path; false when nothing is there.
static inline bool sa_is_null(const sa_record *record, const char *path) {
    sa_field field;
    return sa_get(record, path, &field) && sa_field_is_null(field);
}

// Whether the text at path is this one; false when nothing is there.
static inline bool sa_is(const sa_record *record, const char *path, const char *text) {
    sa_str found;
    return sa_text(record, path, &found) && sa_same(found, sa_s(text));
}

// Whether the text at path is one of these; false when nothing is there.
bool sa_is_any(const sa_record *record, const char *path, sa_texts texts);

// One of several, while they are gone through.
typedef struct {
    sa_field field;
    sa_str text;
    sa_field of;
    size_t next;
    bool there;
} sa_item;
sa_item sa_first_item(const sa_record *record, const char *path);
sa_item sa_first_text(const sa_record *record, const char *path);
sa_item sa_first_field_item(sa_field field);
void sa_next_item(sa_item *item);
void sa_next_text(sa_item *item);

// The items of the list at path: SA_ITEMS(item, record, "resources") { … item.field … }. Nothing there, or no list: none.
#define SA_ITEMS(item, record, path) for (sa_item item = sa_first_item((record), (path)); item.there; sa_next_item(&item))
// The texts of the list at path, as item.text, passing over other items; a text counts as a list of one.
#define SA_EACH_TEXT(item, record, path) for (sa_item item = sa_first_text((record), (path)); item.there; sa_next_text(&item))
// The items of a field, in the same way.
#define SA_FIELD_ITEMS(item, field) for (sa_item item = sa_first_field_item((field)); item.there; sa_next_item(&item))

// -- Declarations ---------------------------------------------------------------------------------------------------------------

// How bad it is, after the reader has to decide what to look at first.
typedef enum { SA_NO_SEVERITY, SA_INFO, SA_LOW, SA_MEDIUM, SA_HIGH, SA_CRITICAL } sa_severity;

typedef struct {
    const char *path;
    enum { SA_TEST_EQUALS, SA_TEST_PREFIX, SA_TEST_SUFFIX, SA_TEST_CONTAINS, SA_TEST_EXISTS } test;
    enum { SA_OF_TEXT, SA_OF_BOOL, SA_OF_INT, SA_OF_FLOAT } of;
    size_t count;
    const void *values;
} sa_condition;

#define SA_TEST(path, test, of, type, ...) \
    { path, test, of, sizeof((const type[]){__VA_ARGS__}) / sizeof(type), (const type[]){__VA_ARGS__} }
// The value at path equals one of these. The values of one condition are of one type.
#define SA_EQUALS(path, ...) SA_TEST(path, SA_TEST_EQUALS, SA_OF_TEXT, char *const, __VA_ARGS__)
#define SA_EQUALS_INT(path, ...) SA_TEST(path, SA_TEST_EQUALS, SA_OF_INT, int64_t, __VA_ARGS__)
#define SA_EQUALS_FLOAT(path, ...) SA_TEST(path, SA_TEST_EQUALS, SA_OF_FLOAT, double, __VA_ARGS__)
#define SA_EQUALS_BOOL(path, value) SA_TEST(path, SA_TEST_EQUALS, SA_OF_BOOL, bool, value)
// The text at path begins with, ends with, or contains one of these.
#define SA_PREFIX(path, ...) SA_TEST(path, SA_TEST_PREFIX, SA_OF_TEXT, char *const, __VA_ARGS__)
#define SA_SUFFIX(path, ...) SA_TEST(path, SA_TEST_SUFFIX, SA_OF_TEXT, char *const, __VA_ARGS__)
#define SA_CONTAINS(path, ...) SA_TEST(path, SA_TEST_CONTAINS, SA_OF_TEXT, char *const, __VA_ARGS__)
// Anything is at path, a null too.
#define SA_EXISTS(path) { path, SA_TEST_EXISTS, SA_OF_TEXT, 0, NULL }
// Conditions that must all hold. They are data: the host tests them for all rules at once.
#define SA_WHEN(...) ((const sa_condition[]){__VA_ARGS__, {NULL, SA_TEST_EXISTS, SA_OF_TEXT, 0, NULL}})

// Folds alerts of a rule into one.
typedef struct {
    // Keys, looked for at any depth, whose values must be equal. NULL: alerts of one dedup key.
    sa_texts by;
    uint32_t minutes;
    // "arrival" (as if left out), or "event": the time that the log names counts.
    const char *on;
    // "wait" (as if left out), or "send": the first is sent at once, the rest is merged.
    const char *first;
    // The most in one; 0: the host's limit. Of fewer than threshold nobody is told; 0: of each.
    uint32_t max, threshold;
} sa_merge;

typedef struct sa_finding sa_finding;

typedef struct sa_rule {
    const char *name;
    const char *description;
    sa_texts logs;
    sa_texts datatypes;
    const sa_condition *when;
    sa_texts outputs;
    // Names of publishers; or a JSON object by output as text.
    sa_texts publishers;
    const char *publishers_of;
    const sa_merge *merge;
    // A JSON object as text.
    const char *context;
    sa_severity severity;
    sa_texts tags, references, tests;
    bool (*judge)(const sa_record *record, sa_finding *finding);
    struct sa_rule *next;
} sa_rule;

void sa_add(sa_rule *rule);

// Declares a rule and begins its function, which sees `record`, and `finding` if it wants to say more than yes. The function returns
// whether it reports the record.
#define SA_RULE(rule_name, ...)                                                                                       \
    bool rule_name(const sa_record *record, sa_finding *finding);                                                     \
    static sa_rule sa_rule_##rule_name = {.name = #rule_name, .judge = rule_name, __VA_ARGS__};                       \
    __attribute__((constructor)) static void sa_add_##rule_name(void) { sa_add(&sa_rule_##rule_name); }               \
    bool rule_name(const sa_record *record __attribute__((unused)), sa_finding *finding __attribute__((unused)))

// -- Findings -------------------------------------------------------------------------------------------------------------------

// A report about one record. Every part may be left out; the rule's own applies then.
void sa_title(sa_finding *finding, sa_str title);
void sa_set_severity(sa_finding *finding, sa_severity severity);
// Alerts of this rule with the same key belong together.
void sa_dedup_key(sa_finding *finding, sa_str key);
// Sends the alert to one more output, written "service:descriptor".
void sa_output(sa_finding *finding, const char *output);
// One entry of what goes with the alert, laid over the context of the rule.
void sa_context_text(sa_finding *finding, const char *key, sa_str value);
void sa_context_int(sa_finding *finding, const char *key, int64_t value);
void sa_context_float(sa_finding *finding, const char *key, double value);
void sa_context_bool(sa_finding *finding, const char *key, bool value);
void sa_context_field(sa_finding *finding, const char *key, sa_field value);
// Any JSON text.
void sa_context_json(sa_finding *finding, const char *key, sa_str json);

// JSON, written piece by piece: commas and quotes come by themselves. Begin with {0}; the text is good until the rule returns.
typedef struct {
    char *at;
    size_t bytes, room;
} sa_writer;
void sa_begin_object(sa_writer *json);
void sa_end_object(sa_writer *json);
void sa_begin_list(sa_writer *json);
void sa_end_list(sa_writer *json);
void sa_key(sa_writer *json, sa_str key);
void sa_put_text(sa_writer *json, sa_str value);
void sa_put_int(sa_writer *json, int64_t value);
void sa_put_uint(sa_writer *json, uint64_t value);
void sa_put_float(sa_writer *json, double value);
void sa_put_bool(sa_writer *json, bool value);
void sa_put_null(sa_writer *json);
void sa_put_field(sa_writer *json, sa_field value);
static inline sa_str sa_written(const sa_writer *json) { return (sa_str){json->at, json->bytes}; }

// For tests: a finding to hand to a rule, empty again each time, and what the rule said.
sa_finding *sa_new_finding(void);
sa_str sa_get_title(const sa_finding *finding);
sa_severity sa_get_severity(const sa_finding *finding);
sa_str sa_get_dedup_key(const sa_finding *finding);
sa_str sa_get_context(const sa_finding *finding);

// -- The host -------------------------------------------------------------------------------------------------------------------

// Lines for whoever runs the pipeline, written as by printf. In tests they go to standard error.
void sa_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void sa_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void sa_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void sa_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Ends the call: the records it is about are lost to this rule, the message goes to the log.
_Noreturn void sa_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

// What is stored under key in a table of the operator. False: the table has no such key, or there is no such table; a stored null is
// a field.
bool sa_lookup(const char *table, sa_str key, sa_field *value);
bool sa_lookup_contains(const char *table, sa_str key);

// Memory that is free again when the rule returns. There is no other end than a failure if there is none left.
void *sa_alloc(size_t bytes);
// A text made as by printf, in such memory.
sa_str sa_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

// For tests: a record of JSON text; NULL for what is no JSON. And what a lookup table holds from now on, a JSON object.
sa_record *sa_parse(const char *json);
void sa_fake_table(const char *table, const char *entries);
void sa_forget_fakes(void);

// -- Parsers: bytes in, records out. A folder whose streamalert.mk says SA_WORLD := parser ----------------------------------------

// A piece of the payload.
typedef struct { size_t offset, bytes; } sa_place;

// What a parser is given.
typedef struct {
    const uint8_t *at;
    size_t bytes;
} sa_payload;

// What became of the pieces of the payload. Parts do not overlap and do not leave the payload; several may be about the very same
// piece, which then holds several records. What is in no part means nothing, like a blank line.
typedef struct sa_parts sa_parts;
// A record of one of the parser's log types, a JSON object. An empty log type: whichever fits.
void sa_part_record(sa_parts *parts, sa_place place, const char *log_type, sa_str json);
// Bytes that should be a record and are none; the reason is for whoever reads the dead letter.
void sa_part_error(sa_parts *parts, sa_place place, sa_str reason);
// For return: why nothing can be made of the payload. Always false.
bool sa_refuse(sa_parts *parts, sa_str reason);

// One line, without what ends it.
typedef struct {
    sa_str bytes;
    sa_place place;
    bool there;
    const sa_payload *of;
    size_t next;
} sa_line;
sa_line sa_first_line(const sa_payload *payload);
void sa_next_line(sa_line *line);
// The lines of a payload, ended by \n or \r\n; the last may lack its end.
#define SA_EACH_LINE(line, payload) for (sa_line line = sa_first_line(payload); line.there; sa_next_line(&line))
// Bytes as text: what is no UTF-8 becomes U+FFFD, once for as much of a character as is there.
sa_str sa_utf8(sa_str bytes);
// Without blanks around it.
sa_str sa_trim(sa_str text);
// Cuts off what is in front of the first mark, and the mark. False: there is none; then all of it is in front.
bool sa_cut(sa_str *rest, char mark, sa_str *front);
// A decimal integer, all of the text. False: it is none, or none of 64 bits.
bool sa_parse_int(sa_str text, int64_t *value);

typedef struct sa_parser {
    const char *name;
    const char *description;
    // The log types it makes records of, written as the files of conf/schemas; their parser is json.
    const char *schemas;
    // It must see an object as a whole; if not, it is given any number of whole lines.
    bool whole;
    // Whether an object that begins so is one of its own. NULL: it reads only what a cluster gives it by name.
    bool (*sniff)(const uint8_t *head, size_t bytes);
    bool (*parse)(const sa_payload *payload, sa_parts *parts);
} sa_parser;

void sa_add_parser(const sa_parser *parser);

// Declares the parser and begins its function, which sees `payload` and `parts`. It returns true, or sa_refuse(parts, reason).
#define SA_PARSER(parser_name, ...)                                                                                          \
    bool parser_name(const sa_payload *payload, sa_parts *parts);                                                            \
    static const sa_parser sa_parser_##parser_name = {.name = #parser_name, .parse = parser_name, __VA_ARGS__};              \
    __attribute__((constructor)) static void sa_add_##parser_name(void) { sa_add_parser(&sa_parser_##parser_name); }         \
    bool parser_name(const sa_payload *payload __attribute__((unused)), sa_parts *parts __attribute__((unused)))

// For tests: parts to hand to a parser, and what it put there. False: there are not so many.
sa_parts *sa_new_parts(void);
typedef struct {
    sa_place place;
    // Either a record with its log type, or a reason; what is not there has no place.
    sa_str log_type, json, reason;
} sa_part;
bool sa_get_part(const sa_parts *parts, size_t number, sa_part *part);

// -- Publishers shape an alert for an output. A folder whose streamalert.mk says SA_WORLD := publisher -----------------------------

// An alert. Titles, records and contexts hold text from logs, so from attackers: escape it for where it goes. What it does not say is
// an empty text, or a null.
typedef struct { sa_field fields; } sa_alert;

// Any field by its name.
sa_field sa_alert_get(const sa_alert *alert, const char *name);
sa_str sa_alert_text(const sa_alert *alert, const char *name);
static inline sa_str sa_alert_id(const sa_alert *alert) { return sa_alert_text(alert, "id"); }
static inline sa_str sa_alert_rule_name(const sa_alert *alert) { return sa_alert_text(alert, "rule_name"); }
// The finding's, or the rule's name where it has none.
sa_str sa_alert_title(const sa_alert *alert);
sa_severity sa_alert_severity(const sa_alert *alert);
const char *sa_severity_name(sa_severity severity);
// The rule's, for whoever gets the alert.
static inline sa_str sa_alert_description(const sa_alert *alert) { return sa_alert_text(alert, "rule_description"); }
// When it was raised, RFC 3339, and the same in seconds since 1970.
static inline sa_str sa_alert_created(const sa_alert *alert) { return sa_alert_text(alert, "created"); }
bool sa_alert_created_at(const sa_alert *alert, int64_t *seconds);
// The time the log itself names, as written there.
static inline sa_str sa_alert_event_time(const sa_alert *alert) { return sa_alert_text(alert, "event_time"); }
static inline sa_str sa_alert_cluster(const sa_alert *alert) { return sa_alert_text(alert, "cluster"); }
static inline sa_str sa_alert_log_source(const sa_alert *alert) { return sa_alert_text(alert, "log_source"); }
// "service", "resource" or "object" of where the log came from.
sa_str sa_alert_source(const sa_alert *alert, const char *part);
// What the rule says beside the record, an object.
sa_field sa_alert_context(const sa_alert *alert);
static inline sa_field sa_alert_record(const sa_alert *alert) { return sa_alert_get(alert, "record"); }
static inline sa_str sa_alert_dedup_key(const sa_alert *alert) { return sa_alert_text(alert, "dedup_key"); }
// It was raised by a rule that is still on trial.
bool sa_alert_staged(const sa_alert *alert);
// `tags`, `references` or `outputs`, its texts, as a list under construction.
void sa_put_alert_texts(sa_writer *json, const sa_alert *alert, const char *name);

// What a publication is for.
typedef struct { sa_str service, descriptor; } sa_target;
sa_target sa_new_target(const char *output);
// The key by which a publisher speaks to an output of this service: "@service.field".
sa_str sa_magic(const sa_target *target, const char *field);

// Writes the entries of an object, but for those under these keys.
void sa_put_entries(sa_writer *json, sa_field object, sa_texts but);
// For return: why the alert cannot be shaped. Always false: the delivery is tried again later.
bool sa_refuse_alert(sa_str reason);

typedef struct sa_publisher {
    const char *name;
    const char *description;
    bool (*publish)(const sa_alert *alert, sa_field publication, const sa_target *target, sa_writer *answer);
    struct sa_publisher *next;
} sa_publisher;

void sa_add_publisher(sa_publisher *publisher);

// Declares a publisher and begins its function, which sees `alert`, `publication`, the object that the publisher before it left, `target`,
// and `answer`, an object that is begun already and ended for it. It returns true, or sa_refuse_alert(reason).
#define SA_PUBLISHER(publisher_name, ...)                                                                                               \
    bool publisher_name(const sa_alert *alert, sa_field publication, const sa_target *target, sa_writer *answer);                       \
    static sa_publisher sa_publisher_##publisher_name = {.name = #publisher_name, .publish = publisher_name, __VA_ARGS__};              \
    __attribute__((constructor)) static void sa_add_##publisher_name(void) { sa_add_publisher(&sa_publisher_##publisher_name); }        \
    bool publisher_name(const sa_alert *alert __attribute__((unused)), sa_field publication __attribute__((unused)),                    \
                        const sa_target *target __attribute__((unused)), sa_writer *answer __attribute__((unused)))

// For tests: an alert of JSON text, and what the publisher makes of a publication, as JSON text; no text, if it refuses.
sa_alert sa_parse_alert(const char *json);
sa_str sa_published(bool (*publish)(const sa_alert *, sa_field, const sa_target *, sa_writer *), const sa_alert *alert, const char *publication,
                    const char *output);

// -- Helpers: StreamAlert's, under their old names ------------------------------------------------------------------------------

// Whether the text begins with, ends with, or contains one of these; no wildcards. Case counts everywhere.
bool sa_starts_with_any(sa_str text, sa_texts needles);
bool sa_ends_with_any(sa_str text, sa_texts needles);
bool sa_contains_any(sa_str text, sa_texts needles);
// Whether the whole text matches one of the patterns: `*` any characters, `/` among them, `?` one character, `[a-z]` one of these,
// `[!a]` any but these. There is no escape: `[*]` is a star. A `[` that is never closed is just that.
bool sa_matches_any(sa_str text, sa_texts patterns);
// Whether the path matches one of the patterns part by part, so that `*` does not cross a `/`. A pattern that begins with `/` must
// match the whole path; any other matches from the right, as many parts as it has.
bool sa_path_matches_any(sa_str path, sa_texts patterns);

// Whether the address lies in one of the networks: "10.0.0.0/8", "2001:db8::/32", or a single address. What is no network is passed
// over, with a line in the log.
bool sa_in_network(sa_str ip, sa_texts networks);
// Four decimal numbers without leading zeros, or IPv6. A network, a port or a zone is no part of an address.
bool sa_valid_ip(sa_str ip);
// Whether the address can be routed on the internet, or is for use within one's own network.
bool sa_is_public_ip(sa_str ip);
bool sa_is_private_ip(sa_str ip);

// All values under key at any depth, the outermost first, most at most; how many there are comes back, and where in *found. Does not
// look inside streamalert_normalization.
size_t sa_get_keys(sa_field data, const char *key, size_t most, const sa_field **found);
// The first of them. False: there is no such key; a null that is there is a field.
bool sa_get_first_key(sa_field data, const char *key, sa_field *found);
// Whether some text, at any depth, is this one; contains this one; matches one of these; contains one of these. Keys do not count.
bool sa_has_value(sa_field data, const char *text);
bool sa_has_value_with_substring(sa_field data, const char *needle);
bool sa_has_value_from_list(sa_field data, sa_texts patterns);
bool sa_has_value_from_substring_list(sa_field data, sa_texts needles);

// Whether time lies within the last hours before now, the ends included; both are seconds since 1970, now comes from the record.
bool sa_last_hour(int64_t time, int64_t now, uint32_t hours);
// Seconds since 1970 of an RFC 3339 text. False: no such text, or no such day.
bool sa_parse_time(sa_str text, int64_t *seconds);
// The time at path: an RFC 3339 text, or a number of seconds.
bool sa_event_time(const sa_record *record, const char *path, int64_t *seconds);
// How many seconds after the time at from the time at to lies.
bool sa_seconds_between(const sa_record *record, const char *from, const char *to, int64_t *seconds);
// JSON text as a value; an empty object for what is no JSON.
sa_field sa_safe_json(sa_str text);

#endif
