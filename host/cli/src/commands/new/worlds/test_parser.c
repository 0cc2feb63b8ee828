#include <assert.h>
#include <streamalert.h>

bool @ident@(const sa_payload *payload, sa_parts *parts);

// A line becomes a record or says why not.
int main(void) {
    const char text[] = "17|ada|login\n\nnonsense\n";
    sa_payload payload = {(const uint8_t *)text, strlen(text)};
    sa_parts *parts = sa_new_parts();
    sa_part part;
    assert(@ident@(&payload, parts));
    assert(sa_get_part(parts, 0, &part) && sa_same(part.json, sa_s("{\"time\":17,\"user\":\"ada\",\"action\":\"login\"}")));
    assert(sa_get_part(parts, 1, &part) && sa_same(part.reason, sa_s("1 fields instead of 3")) && part.place.offset == 14);
    assert(!sa_get_part(parts, 2, &part));
}
