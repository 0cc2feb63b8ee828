// Who logs in to AWS as root.
#include <streamalert.h>

SA_RULE(root_login,
        .description = "Somebody logged in as root.",
        .logs = SA_TEXTS("cloudtrail:events"),
        .when = SA_WHEN(SA_EQUALS("eventName", "ConsoleLogin"), SA_EQUALS("userIdentity.type", "Root")),
        .outputs = SA_TEXTS("file:security"),
        .severity = SA_HIGH) {
    return sa_is(record, "responseElements.ConsoleLogin", "Success");
}
