// The publisher @ident@.
#include <streamalert.h>

SA_PUBLISHER(@ident@, .description = "A line of text in the place of the record.")
{
    // What the publisher before it left, at first the default publication; `return sa_refuse_alert(reason)` holds the delivery back.
    sa_put_entries(answer, publication, SA_TEXTS("record"));
    // `@slack.text`, where the output is one of Slack, tells it how to show the alert.
    sa_key(answer, sa_magic(target, "text"));
    sa_put_text(answer, sa_format("%.*s (%s)", SA_PRINT(sa_alert_title(alert)), sa_severity_name(sa_alert_severity(alert))));
    return true;
}
