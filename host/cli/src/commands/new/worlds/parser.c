// The parser @ident@.
#include <streamalert.h>

// A line of three fields.
static void part(sa_parts *parts, sa_place place, sa_str line) {
    sa_str fields[3] = {0}, rest = line;
    size_t count = 0;
    bool more;
    do {
        sa_str field;
        more = sa_cut(&rest, '|', &field);
        if (count < 3) fields[count] = sa_trim(field);
        count++;
    } while (more);
    int64_t time;
    // What is no record becomes a dead letter with these bytes.
    if (count != 3) {
        sa_part_error(parts, place, sa_format("%zu fields instead of 3", count));
    } else if (!sa_parse_int(fields[0], &time)) {
        sa_part_error(parts, place, sa_format("the time: %.*s is no number", SA_PRINT(fields[0])));
    } else {
        sa_writer json = {0};
        sa_begin_object(&json);
        sa_key(&json, sa_s("time"));
        sa_put_int(&json, time);
        sa_key(&json, sa_s("user"));
        sa_put_text(&json, fields[1]);
        sa_key(&json, sa_s("action"));
        sa_put_text(&json, fields[2]);
        sa_end_object(&json);
        sa_part_record(parts, place, "@ident@:event", sa_written(&json));
    }
}

SA_PARSER(@ident@,
          // What `streamalert inspect` shows: say what the parser reads, and what it makes of it.
          .description = "Lines like `time|user|action`; a record for each.",
          .schemas = "{\"@ident@:event\": {\"parser\": \"json\", \"schema\": "
                     "{\"time\": \"integer\", \"user\": \"string\", \"action\": \"string\"}}}")
{
    SA_EACH_LINE(line, payload) {
        // A blank line means nothing and is in no part.
        if (sa_trim(line.bytes).bytes > 0) part(parts, line.place, sa_utf8(line.bytes));
    }
    return true;
}
