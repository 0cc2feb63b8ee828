#include <assert.h>
#include <streamalert.h>

bool @ident@(const sa_alert *alert, sa_field publication, const sa_target *target, sa_writer *answer);

// A line takes the place of the record.
int main(void) {
    sa_alert alert = sa_parse_alert("{\"title\": \"Root logged in\", \"severity\": \"high\"}");
    sa_str after = sa_published(@ident@, &alert, "{\"id\": \"1\", \"record\": {\"a\": 1}}", "slack:security");
    assert(sa_same(after, sa_s("{\"id\":\"1\",\"@slack.text\":\"Root logged in (high)\"}")));
}
