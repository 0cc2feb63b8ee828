// Reading, writing and the helpers: what is there, what is not, and what is something else.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <streamalert.h>

static int failures;

#define CHECK(that)                                                             \
    do {                                                                        \
        if (!(that)) {                                                          \
            failures++;                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #that);  \
        }                                                                       \
    } while (0)

static sa_record *record(void) {
    return sa_parse("{\"who\": {\"type\": \"Root\", \"a.b\": \"dotted\", \"groups\": [\"a\", 1, \"b\"]},"
                    "\"n\": -7, \"one\": 1.0, \"big\": 18446744073709551615, \"exact\": 9007199254740993, \"f\": 0.5,"
                    "\"yes\": true, \"no\": false, \"null\": null, \"empty\": \"\", \"list\": [], \"object\": {},"
                    "\"items\": [{\"port\": 22}, {\"port\": 80}]}");
}

static void reading(void) {
    const sa_record *r = record();
    sa_str text;
    int64_t integer;
    uint64_t natural;
    double number;
    bool yes;
    size_t length;
    CHECK(sa_text(r, "who.type", &text) && sa_same(text, sa_s("Root")));
    CHECK(sa_text(r, "who.a\\.b", &text) && sa_same(text, sa_s("dotted")));
    CHECK(sa_text(r, "empty", &text) && text.bytes == 0);
    const char *none[] = {"nope", "who", "n", "null", "yes", "who.type.x", "", "who.groups.1", "who.groups.-1"};
    for (size_t at = 0; at < sizeof none / sizeof *none; at++) CHECK(!sa_text(r, none[at], &text));
    CHECK(sa_same(sa_text_or(r, "nope", "-"), sa_s("-")) && sa_is(r, "who.type", "Root") && !sa_is(r, "who.type", "root"));
    CHECK(sa_is_any(r, "who.type", SA_TEXTS("x", "Root")) && !sa_is_any(r, "n", SA_TEXTS("-7")));
    CHECK(sa_int(r, "n", &integer) && integer == -7 && !sa_uint(r, "n", &natural) && sa_float(r, "n", &number) && number == -7);
    CHECK(!sa_int(r, "one", &integer) && sa_float(r, "one", &number) && number == 1);
    CHECK(!sa_int(r, "big", &integer) && sa_uint(r, "big", &natural) && natural == UINT64_MAX);
    CHECK(sa_int(r, "exact", &integer) && integer == 9007199254740993);
    CHECK(sa_bool(r, "yes", &yes) && yes && sa_bool(r, "no", &yes) && !yes && !sa_bool(r, "n", &yes));
    CHECK(sa_exists(r, "null") && sa_is_null(r, "null") && !sa_exists(r, "nope") && !sa_is_null(r, "empty"));
    CHECK(sa_len(r, "who.groups", &length) && length == 3 && sa_len(r, "list", &length) && length == 0 && !sa_len(r, "empty", &length));
    sa_str all = {0};
    SA_EACH_TEXT(item, r, "who.groups") all = sa_format("%.*s%.*s", SA_PRINT(all), SA_PRINT(item.text));
    SA_EACH_TEXT(item, r, "who.type") all = sa_format("%.*s%.*s", SA_PRINT(all), SA_PRINT(item.text));
    SA_EACH_TEXT(item, r, "nope") all = sa_s("wrong");
    CHECK(sa_same(all, sa_s("abRoot")));
    int64_t ports = 0;
    SA_ITEMS(item, r, "items") {
        sa_field port;
        if (sa_field_key(item.field, sa_s("port"), &port) && sa_field_int(port, &integer)) ports += integer;
        if (ports == 22) continue;
        break;
    }
    CHECK(ports == 102);
    sa_field field;
    CHECK(sa_field_at(sa_root(r), "items.1.port", &field) && sa_field_int(field, &integer) && integer == 80);
    CHECK(!sa_field_at(sa_root(r), "items.2", &field));
}

static void json(void) {
    const char *odd = "{\"t\": \"q\\\"uote\\\\ \\n \\u00fc \\ud83d\\ude00 \\u0001\", \"f\": 1e300, \"d\": 0.1, \"e\": {\"\": [[]]}}";
    CHECK(sa_same(sa_json(sa_parse(odd)), sa_s("{\"t\":\"q\\\"uote\\\\ \\u000a ü 😀 \\u0001\",\"f\":1e+300,\"d\":0.1,\"e\":{\"\":[[]]}}")));
    CHECK(sa_same(sa_json(sa_parse(sa_json(record()).at == NULL ? "" : sa_format("%.*s", SA_PRINT(sa_json(record()))).at)), sa_json(record())));
    const char *none[] = {"", "{", "{\"a\"}", "{\"a\":1,}", "[1 2]", "01", "1.", "nul", "\"\\x\"", "\"\\ud800\"", "1 1", "1e999"};
    for (size_t at = 0; at < sizeof none / sizeof *none; at++) CHECK(sa_parse(none[at]) == NULL);
    sa_finding *finding = sa_new_finding();
    CHECK(sa_get_context(finding).bytes == 0);
    sa_context_text(finding, "a", sa_s("ü\xff"));
    sa_context_int(finding, "b", -1);
    sa_context_float(finding, "c", 2);
    sa_context_bool(finding, "d", true);
    sa_context_json(finding, "e", sa_s("[null]"));
    CHECK(sa_same(sa_get_context(finding), sa_s("{\"a\":\"ü?\",\"b\":-1,\"c\":2.0,\"d\":true,\"e\":[null]}")));
}

static void tables(void) {
    sa_field value;
    sa_fake_table("owners", "{\"i-1\": {\"team\": \"cloud\"}, \"i-2\": null}");
    CHECK(sa_lookup("owners", sa_s("i-1"), &value) && sa_same(sa_field_json(value), sa_s("{\"team\":\"cloud\"}")));
    CHECK(sa_lookup("owners", sa_s("i-2"), &value) && sa_field_is_null(value));
    CHECK(!sa_lookup("owners", sa_s("i-3"), &value) && !sa_lookup_contains("x", sa_s("i-1")));
    sa_forget_fakes();
    CHECK(!sa_lookup_contains("owners", sa_s("i-1")));
}

static void helpers(void) {
    const char *yes[][2] = {{"", ""}, {"", "*"}, {"abc", "a*"}, {"abc", "*c"}, {"abc", "a?c"}, {"a/b", "a*b"}, {"abcabd", "*ab?"}, {"b", "[a-c]"},
                            {"z", "[!a-c]"}, {"]", "[]]"}, {"a", "[!]]"}, {"-", "[a-]"}, {"[x", "[x"}, {"*", "[*]"}, {"ü", "?"}, {"^", "[^a]"},
                            {"aXbXc", "a*X*c"}, {"ö", "[ä-ü]"}};
    const char *no[][2] = {{"a", ""}, {"", "?"}, {"abc", "ab"}, {"ABC", "abc"}, {"d", "[a-c]"}, {"a", "[!a]"}, {"b", "[c-a]"}, {"x", "[x"}};
    for (size_t at = 0; at < sizeof yes / sizeof *yes; at++) CHECK(sa_matches_any(sa_s(yes[at][0]), SA_TEXTS("no", yes[at][1])));
    for (size_t at = 0; at < sizeof no / sizeof *no; at++) CHECK(!sa_matches_any(sa_s(no[at][0]), SA_TEXTS(no[at][1])));
    CHECK(sa_path_matches_any(sa_s("/a/b/c"), SA_TEXTS("b/*")) && sa_path_matches_any(sa_s("/a//b/./c/"), SA_TEXTS("/a/b/c")));
    CHECK(!sa_path_matches_any(sa_s("/a/b/c"), SA_TEXTS("/a/*")) && !sa_path_matches_any(sa_s("/a"), SA_TEXTS("")));
    const char *ips[] = {"1.2.3.4", "::1", "::", "1::", "2001:db8::1", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1::8", "ABCD::"};
    for (size_t at = 0; at < sizeof ips / sizeof *ips; at++) CHECK(sa_valid_ip(sa_s(ips[at])));
    const char *others[] = {"", "fe80::1%eth0", "1.2.3.4:80", "10.1", "01.2.3.4", "1.2.3.256", "1.2.3.4.", "1.2.3", ":", ":::", "1:::2", "::1::",
                            "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "::g", "1:2:3:4:5:6:7:1.2.3.4", "1:", ":1", "1:2:3:4:5:6:7:8::"};
    for (size_t at = 0; at < sizeof others / sizeof *others; at++) CHECK(!sa_valid_ip(sa_s(others[at])));
    CHECK(sa_in_network(sa_s("::ffff:10.0.0.1"), SA_TEXTS("10.0.0.0/8")) && sa_in_network(sa_s("10.0.0.1"), SA_TEXTS("::ffff:10.0.0.0/104")));
    CHECK(!sa_in_network(sa_s("10.0.0.1"), SA_TEXTS("::/0")) && !sa_in_network(sa_s("10.128.0.1"), SA_TEXTS("10.0.0.0/9", "1.2.3.4/33")));
    CHECK(sa_is_public_ip(sa_s("8.8.8.8")) && !sa_is_public_ip(sa_s("203.0.113.9")) && sa_is_private_ip(sa_s("fd00::1")));
    const sa_field *found;
    sa_field data = sa_root(sa_parse("{\"l\": [{\"k\": 2}, {\"k\": {\"k\": 3}}], \"k\": 1, \"streamalert_normalization\": {\"k\": 4}}"));
    CHECK(sa_get_keys(data, "k", SIZE_MAX, &found) == 4 && sa_same(sa_field_json(found[3]), sa_s("3")) && sa_get_keys(data, "k", 2, &found) == 2);
    data = sa_root(sa_parse("{\"a\": [\"\", \"mimikatz.exe\"], \"katz\": 1}"));
    CHECK(sa_has_value_from_list(data, SA_TEXTS("mimi*")) && sa_has_value_with_substring(data, "katz.") && !sa_has_value(data, "katz"));
    CHECK(!sa_has_value_from_list(sa_root(sa_parse("[\"\"]")), SA_TEXTS("*")));
    const struct { const char *text; int64_t seconds; } times[] = {
        {"1970-01-01T00:00:00Z", 0}, {"2024-05-01T12:00:00Z", 1714564800}, {"2024-02-29T23:59:60Z", 1709251200},
        {"2000-03-01 00:00:00.123456+01:00", 951865200}, {"1969-12-31t23:59:59.9z", -1}, {"0000-01-01T00:00:00Z", -62167219200},
        {"9999-12-31T23:59:59-00:30", 253402302599}};
    int64_t seconds;
    for (size_t at = 0; at < sizeof times / sizeof *times; at++) CHECK(sa_parse_time(sa_s(times[at].text), &seconds) && seconds == times[at].seconds);
    const char *never[] = {"", "2024-05-01", "2024-05-01T12:00:00", "2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-05-01T24:00:00Z",
                           "2024-05-01T12:00:00.Z", "2024-05-01T12:00:00Zx", "2024-05-01T12:00:00+0200", "2024-05-01T12:00:00+02"};
    for (size_t at = 0; at < sizeof never / sizeof *never; at++) CHECK(!sa_parse_time(sa_s(never[at]), &seconds));
    CHECK(sa_last_hour(6400, 10000, 1) && !sa_last_hour(6399, 10000, 1) && !sa_last_hour(INT64_MIN, INT64_MAX, UINT32_MAX));
    CHECK(sa_seconds_between(sa_parse("{\"a\": \"2024-05-01T12:00:00Z\", \"b\": 1714564860.9}"), "a", "b", &seconds) && seconds == 60);
}

int main(void) {
    reading();
    json();
    tables();
    helpers();
    return failures > 0;
}
