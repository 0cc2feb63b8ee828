// Parsers and publishers: lines, texts, and what an alert says of itself.
#include <stdio.h>
#include <streamalert.h>

static int failures;

#define CHECK(that)                                                             \
    do {                                                                        \
        if (!(that)) {                                                          \
            failures++;                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #that);  \
        }                                                                       \
    } while (0)

static bool is(sa_str text, const char *expected) { return sa_same(text, sa_s(expected)); }

static sa_payload payload_of(const char *text) { return (sa_payload){(const uint8_t *)text, strlen(text)}; }

SA_PARSER(door, .schemas = "{}")
{
    SA_EACH_LINE(line, payload) {
        if (sa_trim(line.bytes).bytes == 0) continue;
        if (line.bytes.at[0] == '!') return sa_refuse(parts, sa_s("refused"));
        if (line.bytes.at[0] == '{') sa_part_record(parts, line.place, "door:access", line.bytes);
        else sa_part_error(parts, line.place, sa_format("no object: %.*s", SA_PRINT(line.bytes)));
    }
    return true;
}

static void parsing(void) {
    sa_payload payload = payload_of("{}\r\n\nnonsense\n{\"a\":1}");
    sa_parts *parts = sa_new_parts();
    sa_part part;
    CHECK(door(&payload, parts));
    CHECK(sa_get_part(parts, 0, &part) && part.place.offset == 0 && part.place.bytes == 2 && is(part.json, "{}"));
    CHECK(sa_get_part(parts, 1, &part) && part.place.offset == 5 && part.place.bytes == 8 && is(part.reason, "no object: nonsense"));
    CHECK(sa_get_part(parts, 2, &part) && part.place.offset == 14 && is(part.log_type, "door:access") && part.reason.at == NULL);
    CHECK(!sa_get_part(parts, 3, &part));
    payload = payload_of("!");
    CHECK(!door(&payload, sa_new_parts()));
    payload = payload_of("");
    CHECK(!sa_first_line(&payload).there);
    // More parts than there is room for at first.
    char many[1001] = {0};
    for (size_t at = 0; at < 1000; at += 2) memcpy(many + at, "x\n", 2);
    payload = payload_of(many);
    parts = sa_new_parts();
    CHECK(door(&payload, parts) && sa_get_part(parts, 499, &part) && part.place.offset == 998 && !sa_get_part(parts, 500, &part));
}

static void texts(void) {
    static const struct { const char *bytes, *text; } stories[] = {
        {"", ""},
        {"Zo\xC3\xAB \xE6\x97\xA5 \xF0\x9F\x98\x80", "Zo\xC3\xAB \xE6\x97\xA5 \xF0\x9F\x98\x80"},
        {"\xFF\xFE\xE2\x82""A", "\uFFFD\uFFFD\uFFFD""A"},
        {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},
        {"\xF0\x9F\x98", "\uFFFD"},
        {"\xC0\x80", "\uFFFD\uFFFD"},
        {"\xF4\x90\x80\x80|\xC3", "\uFFFD\uFFFD\uFFFD\uFFFD|\uFFFD"},
    };
    for (size_t at = 0; at < sizeof stories / sizeof *stories; at++) CHECK(is(sa_utf8(sa_s(stories[at].bytes)), stories[at].text));
    sa_str rest = sa_s("a|b||"), front;
    CHECK(sa_cut(&rest, '|', &front) && is(front, "a") && sa_cut(&rest, '|', &front) && is(front, "b"));
    CHECK(sa_cut(&rest, '|', &front) && is(front, "") && !sa_cut(&rest, '|', &front) && is(front, "") && rest.bytes == 0);
    CHECK(is(sa_trim(sa_s(" \t a b\r\n")), "a b") && sa_trim(sa_s(" \n")).bytes == 0);
    int64_t value;
    CHECK(sa_parse_int(sa_s("9223372036854775807"), &value) && value == INT64_MAX);
    CHECK(sa_parse_int(sa_s("-9223372036854775808"), &value) && value == INT64_MIN);
    static const char *const none[] = {"", "-", "+1", "1.0", "0x1", " 1", "9223372036854775808", "-9223372036854775809"};
    for (size_t at = 0; at < sizeof none / sizeof *none; at++) CHECK(!sa_parse_int(sa_s(none[at]), &value));
}

SA_PUBLISHER(quiet)
{
    if (sa_alert_rule_name(alert).bytes == 0) return sa_refuse_alert(sa_s("the alert names no rule"));
    sa_put_entries(answer, publication, SA_TEXTS("record"));
    sa_key(answer, sa_magic(target, "text"));
    sa_put_text(answer, sa_alert_title(alert));
    return true;
}

static void publishing(void) {
    sa_alert alert = sa_parse_alert("{\"rule_name\": \"r\", \"title\": \"\", \"severity\": \"HIGH\", \"created\": \"2026-01-02T03:04:05Z\","
                                    "\"source\": {\"object\": \"o\"}, \"tags\": [\"a\", 1], \"staged\": true}");
    int64_t seconds;
    CHECK(is(sa_alert_title(&alert), "r") && sa_alert_severity(&alert) == SA_HIGH && sa_alert_staged(&alert));
    CHECK(sa_alert_created_at(&alert, &seconds) && seconds == 1767323045 && is(sa_alert_source(&alert, "object"), "o"));
    sa_writer tags = {0};
    sa_put_alert_texts(&tags, &alert, "tags");
    CHECK(is(sa_written(&tags), "[\"a\"]"));
    CHECK(is(sa_published(quiet, &alert, "{\"n\":9007199254740993,\"record\":{},\"a\":[1.5]}", "slack:sec:ops"),
             "{\"n\":9007199254740993,\"a\":[1.5],\"@slack.text\":\"r\"}"));
    CHECK(is(sa_published(quiet, &alert, "{}", "x"), "{\"@x.text\":\"r\"}") && is(sa_new_target("slack:sec:ops").descriptor, "sec:ops"));
    sa_alert nothing = sa_parse_alert("{}");
    CHECK(sa_alert_title(&nothing).bytes == 0 && sa_alert_severity(&nothing) == SA_MEDIUM && !sa_alert_staged(&nothing));
    CHECK(!sa_alert_created_at(&nothing, &seconds) && sa_field_is_null(sa_alert_record(&nothing)));
    CHECK(sa_field_is_object(sa_alert_context(&nothing)) && sa_published(quiet, &nothing, "{}", "x").at == NULL);
}

int main(void) {
    parsing();
    texts();
    publishing();
    return failures != 0;
}
