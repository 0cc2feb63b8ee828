// The same parser in every language: tests/it/worlds_by_language.rs.
#include "misbehave.h"

static bool edge_sniff(const uint8_t *head, size_t bytes) { return bytes >= 2 && memcmp(head, "#e", 2) == 0; }

static bool begins(sa_str text, const char *with) {
    size_t bytes = strlen(with);
    return text.bytes >= bytes && memcmp(text.at, with, bytes) == 0;
}

static sa_str behind(sa_str text, size_t bytes) { return (sa_str){text.at + bytes, text.bytes - bytes}; }

static void read_event(sa_parts *parts, sa_place place, sa_str text) {
    sa_str fields[3] = {0}, rest = text;
    size_t count = 0;
    bool more;
    do {
        sa_str field;
        more = sa_cut(&rest, '|', &field);
        if (count < 3) fields[count] = field;
        count++;
    } while (more);
    int64_t time;
    if (count != 3) {
        sa_part_error(parts, place, sa_format("%zu fields instead of 3", count));
        return;
    }
    if (!sa_parse_int(fields[0], &time)) {
        sa_part_error(parts, place, sa_format("the time: %.*s is no number", SA_PRINT(fields[0])));
        return;
    }
    sa_writer json = {0};
    sa_begin_object(&json);
    sa_key(&json, sa_s("time"));
    sa_put_int(&json, time);
    sa_key(&json, sa_s("user"));
    sa_put_text(&json, fields[1]);
    sa_key(&json, sa_s("action"));
    sa_put_text(&json, fields[2]);
    sa_end_object(&json);
    sa_part_record(parts, place, "edge:event", sa_written(&json));
    // Several parts may be about the very same piece.
    if (sa_same(fields[2], sa_s("twice"))) sa_part_record(parts, place, "edge:event", sa_written(&json));
}

SA_PARSER(edge,
          .description = "Lines like `time|user|action`; a record for each.",
          .schemas = "{\"edge:event\": {\"parser\": \"json\", \"schema\": {\"time\": \"integer\", \"user\": \"string\", "
                     "\"action\": \"string\"}}}",
          .sniff = edge_sniff)
{
    SA_EACH_LINE(line, payload) {
        sa_str text = sa_trim(sa_utf8(line.bytes));
        if (text.bytes == 0 || sa_same(text, sa_s("#edge"))) continue;
        if (sa_same(text, sa_s("refuse"))) return sa_refuse(parts, sa_s("this payload is refused"));
        if (begins(text, "log ")) {
            sa_info("%.*s", SA_PRINT(behind(text, 4)));
        } else if (begins(text, "raw ")) {
            sa_part_record(parts, line.place, "", behind(text, 4));
        } else {
            misbehave(text);
            read_event(parts, line.place, text);
        }
    }
    return true;
}
