// What a component must be contained at; the same words in every language.
#include <stdint.h>
#include <stdlib.h>
#include <streamalert.h>

static volatile int64_t sink;

static __attribute__((noinline)) int64_t deeper(int64_t depth) {
    volatile char frame[64];
    frame[depth & 63] = 1;
    return depth < 0 ? depth : deeper(depth + 1) + frame[depth & 63];
}

// Does it, if this is one of the words.
static void misbehave(sa_str word) {
    if (sa_same(word, sa_s("loop"))) {
        for (;;) sink++;
    } else if (sa_same(word, sa_s("deep"))) {
        sink = deeper(0);
    } else if (sa_same(word, sa_s("grow"))) {
        for (;;) *(volatile char *)sa_alloc(1 << 20) = 1;
    } else if (sa_same(word, sa_s("fail"))) {
        sa_fail("this was to be");
    }
}
