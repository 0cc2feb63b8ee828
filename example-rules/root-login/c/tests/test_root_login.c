#include <assert.h>
#include <streamalert.h>

bool root_login(const sa_record *record, sa_finding *finding);

int main(void) {
    assert(root_login(sa_parse("{\"responseElements\": {\"ConsoleLogin\": \"Success\"}}"), sa_new_finding()));
    assert(!root_login(sa_parse("{\"responseElements\": {\"ConsoleLogin\": \"Failure\"}}"), sa_new_finding()));
    assert(!root_login(sa_parse("{\"responseElements\": null}"), sa_new_finding()));
}
