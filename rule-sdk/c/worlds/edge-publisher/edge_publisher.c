// The same publishers in every language: tests/it/worlds_by_language.rs.
#include "misbehave.h"

SA_PUBLISHER(edge_brief, .description = "Without the record, and with a text of one line.")
{
    sa_put_entries(answer, publication, SA_TEXTS("record"));
    sa_key(answer, sa_magic(target, "text"));
    sa_put_text(answer, sa_format("%.*s (%s)", SA_PRINT(sa_alert_title(alert)), sa_severity_name(sa_alert_severity(alert))));
    return true;
}

static void entry(sa_writer *json, const char *name, sa_str value) {
    sa_key(json, sa_s(name));
    sa_put_text(json, value);
}

static void entry_or_null(sa_writer *json, const char *name, sa_str value) {
    sa_key(json, sa_s(name));
    if (value.bytes > 0) sa_put_text(json, value);
    else sa_put_null(json);
}

SA_PUBLISHER(edge_seen, .description = "What an alert says of itself.")
{
    int64_t created;
    sa_put_entries(answer, publication, NULL);
    sa_key(answer, sa_s("seen"));
    sa_begin_object(answer);
    entry(answer, "id", sa_alert_id(alert));
    entry(answer, "rule_name", sa_alert_rule_name(alert));
    entry(answer, "title", sa_alert_title(alert));
    entry(answer, "severity", sa_s(sa_severity_name(sa_alert_severity(alert))));
    entry(answer, "description", sa_alert_description(alert));
    entry(answer, "created", sa_alert_created(alert));
    sa_key(answer, sa_s("created_at"));
    if (sa_alert_created_at(alert, &created)) sa_put_int(answer, created);
    else sa_put_null(answer);
    entry_or_null(answer, "event_time", sa_alert_event_time(alert));
    entry(answer, "cluster", sa_alert_cluster(alert));
    entry(answer, "log_source", sa_alert_log_source(alert));
    entry(answer, "service", sa_alert_source(alert, "service"));
    entry(answer, "object", sa_alert_source(alert, "object"));
    sa_key(answer, sa_s("context"));
    sa_put_field(answer, sa_alert_context(alert));
    sa_key(answer, sa_s("record"));
    sa_put_field(answer, sa_alert_record(alert));
    static const char *const lists[] = {"tags", "references", "outputs"};
    for (size_t at = 0; at < 3; at++) {
        sa_key(answer, sa_s(lists[at]));
        sa_put_alert_texts(answer, alert, lists[at]);
    }
    entry_or_null(answer, "dedup_key", sa_alert_dedup_key(alert));
    sa_key(answer, sa_s("staged"));
    sa_put_bool(answer, sa_alert_staged(alert));
    sa_key(answer, sa_s("other"));
    sa_put_field(answer, sa_alert_get(alert, "other"));
    entry(answer, "output", sa_format("%.*s and %.*s", SA_PRINT(target->service), SA_PRINT(target->descriptor)));
    sa_end_object(answer);
    return true;
}

SA_PUBLISHER(edge_refuse, .description = "Refuses.")
{
    return sa_refuse_alert(sa_s("the alert names no rule"));
}

#define MISBEHAVES(word)                                       \
    SA_PUBLISHER(edge_##word, .description = "Misbehaves.") {  \
        misbehave(sa_s(#word));                                \
        sa_put_entries(answer, publication, NULL);             \
        return true;                                           \
    }
MISBEHAVES(loop)
MISBEHAVES(deep)
MISBEHAVES(grow)
MISBEHAVES(fail)
