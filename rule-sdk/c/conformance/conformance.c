// The component of rule-sdk/conformance/README.md.
#include <stdlib.h>
#include <streamalert.h>

#define EDGE .logs = SA_TEXTS("test:edge")

static bool ok(const sa_record *record) { return sa_is(record, "mode", "ok"); }

// Bytes of a text that is told whole, and characters of a longer one.
enum { WHOLE_BYTES = 64, START_CHARS = 16 };

static sa_str brief(sa_str text) {
    if (text.bytes <= WHOLE_BYTES) return text;
    size_t at = 0;
    for (int chars = 0; at < text.bytes; at++) {
        bool begins = ((unsigned char)text.at[at] & 0xC0) != 0x80;
        if (begins && chars++ == START_CHARS) break;
    }
    return sa_format("%.*s…%zu", (int)at, text.at, text.bytes);
}

SA_RULE(edge_reads, .description = "Reads every path that the record names.", EDGE) {
    SA_EACH_TEXT(want, record, "want") {
        const char *path = sa_format("%.*s", SA_PRINT(want.text)).at;
        sa_writer json = {0};
        sa_str found;
        int64_t integer;
        uint64_t natural;
        double number;
        bool yes;
        size_t length;
        sa_begin_object(&json);
        sa_key(&json, sa_s("text"));
        if (sa_text(record, path, &found)) sa_put_text(&json, brief(found)); else sa_put_null(&json);
        sa_key(&json, sa_s("int"));
        if (sa_int(record, path, &integer)) sa_put_text(&json, sa_format("%lld", (long long)integer)); else sa_put_null(&json);
        sa_key(&json, sa_s("uint"));
        if (sa_uint(record, path, &natural)) sa_put_text(&json, sa_format("%llu", (unsigned long long)natural)); else sa_put_null(&json);
        sa_key(&json, sa_s("float"));
        if (sa_float(record, path, &number)) sa_put_float(&json, number); else sa_put_null(&json);
        sa_key(&json, sa_s("bool"));
        if (sa_bool(record, path, &yes)) sa_put_bool(&json, yes); else sa_put_null(&json);
        sa_key(&json, sa_s("len"));
        if (sa_len(record, path, &length)) sa_put_uint(&json, length); else sa_put_null(&json);
        sa_key(&json, sa_s("exists"));
        sa_put_bool(&json, sa_exists(record, path));
        sa_key(&json, sa_s("is_null"));
        sa_put_bool(&json, sa_is_null(record, path));
        sa_end_object(&json);
        sa_context_json(finding, path, sa_written(&json));
    }
    sa_title(finding, sa_s("reads"));
    return true;
}

SA_RULE(edge_all, .description = "Reports every row.", EDGE) { return true; }

SA_RULE(edge_error, .description = "Fails on demand.", EDGE) {
    if (sa_is(record, "mode", "error")) sa_fail("failed on demand");
    return ok(record);
}

// Each call needs what it keeps, so that no compiler makes a loop of it.
#pragma clang diagnostic ignored "-Winfinite-recursion"
static int deeper(volatile int *above, int level) {
    volatile int kept[16];
    kept[level & 15] = level;
    return deeper(kept, level + 1) + above[level & 15] + kept[(level + 1) & 15];
}

SA_RULE(edge_trap, .description = "Breaks on demand.", EDGE) {
    volatile int kept[16] = {0};
    // C knows no index that is out of range; an address beyond all memory comes nearest.
    if (sa_is(record, "mode", "trap")) return *(volatile int *)(uintptr_t)0xfffffff0u;
    if (sa_is(record, "mode", "overflow")) return deeper(kept, 1) > 0;
    if (sa_is(record, "mode", "loop")) {
        while (kept[0] == 0) kept[1]++;
    }
    if (sa_is(record, "mode", "alloc")) {
        for (;;) *(volatile char *)sa_alloc(1 << 20) = 1;
    }
    return ok(record);
}

SA_RULE(edge_log, .description = "Writes to the log.", EDGE) {
    sa_debug("debug");
    sa_info("info");
    sa_warn("warn");
    sa_error("error");
    int64_t lines = 0;
    if (sa_int(record, "flood", &lines)) {
        for (int64_t line = 0; line < lines; line++) sa_info("line %lld", (long long)line);
    }
    return ok(record);
}

static void look(sa_finding *finding, const char *name, const char *table, const char *key) {
    sa_field value;
    if (sa_lookup(table, sa_s(key), &value)) {
        sa_context_field(finding, name, value);
    } else {
        sa_context_json(finding, name, sa_s("null"));
    }
}

SA_RULE(edge_lookup, .description = "Looks things up.", EDGE) {
    look(finding, "hit", "owners", "alice");
    look(finding, "miss", "owners", "nobody");
    look(finding, "no_table", "none", "x");
    return true;
}

SA_RULE(edge_when, .description = "Is asked about few records.", EDGE,
        .when = SA_WHEN(SA_EQUALS("kind", "login", "logout"), SA_EQUALS_INT("code", 401, 403), SA_EQUALS_BOOL("flag", true),
                        SA_PREFIX("agent", "aws-cli", "Boto"), SA_SUFFIX("host", ".example.com"),
                        SA_CONTAINS("command", "-enc", "-nop"), SA_EXISTS("detail.error"))) {
    return true;
}

SA_RULE(edge_finding, .description = "Says all that a finding can say.", EDGE) {
    sa_title(finding, sa_s("Title é 日本"));
    sa_set_severity(finding, SA_CRITICAL);
    sa_dedup_key(finding, sa_s("key é"));
    sa_context_json(finding, "nested", sa_s("{\"list\": [1, \"two\", null, true, 0.5]}"));
    sa_context_text(finding, "text", sa_s("é"));
    sa_output(finding, "pagerduty:soc");
    return true;
}

SA_RULE(edge_options, .description = "Declares all that can be declared.", EDGE, .datatypes = SA_TEXTS("sourceAddress"),
        .outputs = SA_TEXTS("slack:security", "pagerduty:soc"), .publishers = SA_TEXTS("add_record"), .severity = SA_HIGH,
        .merge = &(const sa_merge){.by = SA_TEXTS("user", "host"), .minutes = 30, .on = "event", .first = "send", .max = 20},
        .context = "{\"team\": \"cloud\"}", .tags = SA_TEXTS("one", "two"), .references = SA_TEXTS("https://example.com/é")) {
    return false;
}

// What a helper, the first item, says to its arguments, the others.
static void answer(sa_writer *results, sa_field call) {
    sa_field item;
    sa_str helper = {0}, text = {0}, key = {0};
    bool is_text = false;
    if (sa_field_item(call, 0, &item)) sa_field_text(item, &helper);
    sa_field argument = {0};
    if (sa_field_item(call, 1, &argument)) is_text = sa_field_text(argument, &text);
    const char **texts = NULL;
    if (sa_field_item(call, 2, &item)) {
        size_t count = 0;
        sa_field_len(item, &count);
        texts = sa_alloc((count + 1) * sizeof *texts);
        size_t at = 0;
        SA_FIELD_ITEMS(needle, item) {
            sa_str found = {0};
            sa_field_text(needle.field, &found);
            texts[at++] = sa_format("%.*s", SA_PRINT(found)).at;
        }
        texts[at] = NULL;
        if (sa_field_text(item, &key)) key = sa_format("%.*s", SA_PRINT(key));
    }
    if (sa_same(helper, sa_s("get_first_key"))) {
        if (sa_get_first_key(argument, key.at, &item)) sa_put_field(results, item); else sa_put_null(results);
    } else if (sa_same(helper, sa_s("get_keys"))) {
        const sa_field *found;
        size_t count = sa_get_keys(argument, key.at, SIZE_MAX, &found);
        sa_begin_list(results);
        for (size_t at = 0; at < count; at++) sa_put_field(results, found[at]);
        sa_end_list(results);
    } else if (!is_text) {
        sa_put_bool(results, false);
    } else if (sa_same(helper, sa_s("in_network"))) {
        sa_put_bool(results, sa_in_network(text, texts));
    } else if (sa_same(helper, sa_s("starts_with_any"))) {
        sa_put_bool(results, sa_starts_with_any(text, texts));
    } else if (sa_same(helper, sa_s("ends_with_any"))) {
        sa_put_bool(results, sa_ends_with_any(text, texts));
    } else if (sa_same(helper, sa_s("contains_any"))) {
        sa_put_bool(results, sa_contains_any(text, texts));
    } else if (sa_same(helper, sa_s("matches_any"))) {
        sa_put_bool(results, sa_matches_any(text, texts));
    } else {
        sa_fail("there is no helper %.*s", SA_PRINT(helper));
    }
}

SA_RULE(edge_helpers, .description = "Calls helpers.", EDGE) {
    sa_writer results = {0};
    sa_begin_list(&results);
    SA_ITEMS(call, record, "calls") answer(&results, call.field);
    sa_end_list(&results);
    sa_context_json(finding, "results", sa_written(&results));
    return true;
}
