/* Does the least work that can serve the benchmark's page: one epoll loop, one pipelined Redis connection, one IDL in code.
 *
 * It speaks framed strict binary. Its replies have the page's values and report, and it lacks everything else that a server
 * needs: deadlines, limits other than its buffers, other protocols, reconnecting to Redis. It closes clients that break the
 * protocol or do not read. Each iteration of the loop reads the clock once, sends all its gets in one write, and copies each
 * value once, from Redis's answer into its reply. Fields are written in the order in which their values arrive.
 *
 *   floor PORT REDIS_PORT [slow]
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PARTS = 7, ID_MAX = 64, CALL_MAX = 1024, EVENTS = 512 };
enum { T_STOP = 0, T_BOOL = 2, T_DOUBLE = 4, T_I32 = 8, T_I64 = 10, T_STRING = 11, T_STRUCT = 12, T_LIST = 15 };

static const char *const NAMES[PARTS] = {"summary", "details", "prices", "stock", "reviews", "images", "related"};
static const int64_t SLOW_US[PARTS] = {30000, 50000, 80000, 120000, 60000, 90000, 70000};

/* Bytes that grow at their end. */
typedef struct { uint8_t *data; size_t len, room; } Buffer;

typedef struct Client {
    int fd;
    bool closed, buried;
    int waits;                 /* lookups without an answer; a call is in flight while there are some */
    size_t received;
    uint8_t in[CALL_MAX];
    Buffer reply;
    char id[ID_MAX];
    size_t id_len;
    int64_t arrived, started[PARTS], done[PARTS];
    const char *fate[PARTS];
    struct Client *next_buried;
} Client;

typedef struct { Client *client; int part; int64_t due; } Lookup;

/* First in, first out, in a ring whose size is a power of two. */
typedef struct { Lookup *slots; size_t first, count, size; } Queue;

static int loop_fd, redis_fd;
static bool slow, redis_full;
static int64_t now;            /* microseconds, as of this turn */
static Buffer asking, answers; /* to Redis and from it */
static size_t asked_bytes;     /* of `asking`, sent already */
static Queue sent, delayed[PARTS];
static Client *graves;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void reserve(Buffer *b, size_t more) {
    if (b->len + more <= b->room) return;
    while (b->len + more > b->room) b->room = b->room ? b->room * 2 : 4096;
    b->data = realloc(b->data, b->room);
    if (!b->data) fail("memory");
}

static void push(Queue *q, Lookup lookup) {
    if (q->count == q->size) {
        size_t size = q->size ? q->size * 2 : 1024;
        Lookup *slots = malloc(size * sizeof *slots);
        if (!slots) fail("memory");
        for (size_t i = 0; i < q->count; i++) slots[i] = q->slots[(q->first + i) & (q->size - 1)];
        free(q->slots);
        *q = (Queue){slots, 0, q->count, size};
    }
    q->slots[(q->first + q->count++) & (q->size - 1)] = lookup;
}

static Lookup pop(Queue *q) {
    Lookup lookup = q->slots[q->first];
    q->first = (q->first + 1) & (q->size - 1);
    q->count--;
    return lookup;
}

static void read_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    now = (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* thrift: callers have reserved the room */

static uint32_t get32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return ntohl(v);
}
static void put8(Buffer *b, uint8_t v) { b->data[b->len++] = v; }
static void put32(Buffer *b, uint32_t v) {
    v = htonl(v);
    memcpy(b->data + b->len, &v, sizeof v);
    b->len += sizeof v;
}
static void put64(Buffer *b, int64_t v) {
    put32(b, (uint32_t)((uint64_t)v >> 32));
    put32(b, (uint32_t)v);
}
static void put_bytes(Buffer *b, const void *bytes, size_t len) {
    put32(b, len);
    memcpy(b->data + b->len, bytes, len);
    b->len += len;
}
static void put_text(Buffer *b, const char *text) { put_bytes(b, text, strlen(text)); }
static void put_field(Buffer *b, uint8_t type, uint16_t id) {
    put8(b, type);
    put8(b, id >> 8);
    put8(b, id);
}
static void put_text_field(Buffer *b, uint16_t id, const char *text) {
    put_field(b, T_STRING, id);
    put_text(b, text);
}
static void put_time_field(Buffer *b, uint16_t id, int64_t us) {
    put_field(b, T_I64, id);
    put64(b, us);
}

/* clients */

/* Freed at the end of the turn: an event of this turn may still name it. */
static void bury(Client *c) {
    if (!c->closed) close(c->fd);
    c->closed = true;
    if (c->waits == 0 && !c->buried) {
        c->buried = true;
        c->next_buried = graves;
        graves = c;
    }
}

static void ask(Lookup lookup) {
    Client *c = lookup.client;
    reserve(&asking, 64 + ID_MAX);
    const char *name = NAMES[lookup.part];
    asking.len += sprintf((char *)asking.data + asking.len, "*2\r\n$3\r\nGET\r\n$%zu\r\n%s:", strlen(name) + 1 + c->id_len, name);
    memcpy(asking.data + asking.len, c->id, c->id_len);
    memcpy(asking.data + asking.len + c->id_len, "\r\n", 2);
    asking.len += c->id_len + 2;
    push(&sent, lookup);
}

/* getPage(1: string id): reads the call in `frame` and begins its reply. False: it is something else. */
static bool open_call(Client *c, const uint8_t *frame, size_t len) {
    static const uint8_t head[] = {0x80, 1, 0, 1, 0, 0, 0, 7, 'g', 'e', 't', 'P', 'a', 'g', 'e'};
    const size_t id_at = sizeof head + 4 + 3 + 4;
    if (len <= id_at || memcmp(frame, head, sizeof head) != 0) return false;
    const uint8_t *field = frame + sizeof head + 4;
    c->id_len = get32(field + 3);
    if (field[0] != T_STRING || field[2] != 1 || c->id_len > ID_MAX || len != id_at + c->id_len + 1) return false;
    memcpy(c->id, frame + id_at, c->id_len);

    Buffer *b = &c->reply;
    b->len = 0;
    reserve(b, 64);
    put32(b, 0); /* the frame's length */
    put32(b, 0x80010002);
    put_text(b, "getPage");
    put32(b, get32(frame + sizeof head));
    put_field(b, T_STRUCT, 0);
    return true;
}

/* Starts the next call of a client that has none in flight. */
static void next_call(Client *c) {
    if (c->closed || c->waits > 0 || c->received < 4) return;
    size_t len = get32(c->in);
    if (len > CALL_MAX - 4) return bury(c);
    if (c->received < len + 4) return;
    if (!open_call(c, c->in + 4, len)) return bury(c);
    c->received -= len + 4;
    memmove(c->in, c->in + 4 + len, c->received);
    c->arrived = now;
    c->waits = PARTS;
    for (int part = 0; part < PARTS; part++) {
        Lookup lookup = {c, part, now + SLOW_US[part]};
        c->started[part] = now;
        if (slow) push(&delayed[part], lookup);
        else ask(lookup);
    }
}

static void receive(Client *c) {
    if (c->closed || c->received == CALL_MAX) return;
    ssize_t got = recv(c->fd, c->in + c->received, CALL_MAX - c->received, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) bury(c);
        return;
    }
    c->received += got;
    next_call(c);
}

static void put_report(Client *c) {
    Buffer *b = &c->reply;
    int last = 0, longest = 0;
    int64_t serial = 0;
    bool complete = true;
    for (int i = 0; i < PARTS; i++) {
        if (c->done[i] >= c->done[last]) last = i;
        if (c->done[i] - c->started[i] > c->done[longest] - c->started[longest]) longest = i;
        serial += c->done[i] - c->started[i];
        complete &= strcmp(c->fate[i], "ok") == 0;
    }
    int64_t most = c->done[longest] - c->started[longest];
    double bound = (double)serial / (most > 0 ? most : 1);
    reserve(b, 200 + PARTS * 160);
    put_field(b, T_STRUCT, 8);
    put_field(b, T_BOOL, 1), put8(b, complete);
    put_field(b, T_I32, 2), put32(b, 0);
    put_field(b, T_LIST, 3), put8(b, T_STRUCT), put32(b, PARTS);
    for (int i = 0; i < PARTS; i++) {
        put_text_field(b, 1, NAMES[i]);
        put_text_field(b, 2, "pages");
        put_text_field(b, 3, c->fate[i]);
        put_text_field(b, 5, "backend");
        put_time_field(b, 6, c->started[i] - c->arrived);
        put_time_field(b, 7, c->started[i] - c->arrived);
        put_time_field(b, 8, c->done[i] - c->arrived);
        put_time_field(b, 9, c->done[i] - c->arrived);
        put_field(b, T_LIST, 10), put8(b, T_STRING), put32(b, 0);
        put_time_field(b, 11, c->done[last] - c->done[i]);
        put8(b, T_STOP);
    }
    put_field(b, T_LIST, 4), put8(b, T_STRING), put32(b, 1), put_text(b, NAMES[last]);
    put_time_field(b, 5, now - c->arrived);
    put_time_field(b, 6, serial);
    int64_t bits;
    memcpy(&bits, &bound, sizeof bits);
    put_field(b, T_DOUBLE, 7), put64(b, bits);
    put8(b, T_STOP);
}

/* A lookup has its answer: `len` bytes, or none and a fate. */
static void answered(const uint8_t *value, size_t len, const char *fate) {
    Lookup lookup = pop(&sent);
    Client *c = lookup.client;
    c->done[lookup.part] = now;
    c->fate[lookup.part] = fate;
    if (value) {
        reserve(&c->reply, len + 8);
        put_field(&c->reply, T_STRING, lookup.part + 1);
        put_bytes(&c->reply, value, len);
    }
    if (--c->waits > 0) return;
    if (c->closed) return bury(c);
    put_report(c);
    reserve(&c->reply, 2);
    put8(&c->reply, T_STOP), put8(&c->reply, T_STOP);
    uint32_t frame = htonl(c->reply.len - 4);
    memcpy(c->reply.data, &frame, sizeof frame);
    if (send(c->fd, c->reply.data, c->reply.len, MSG_NOSIGNAL) != (ssize_t)c->reply.len) return bury(c);
    next_call(c);
}

/* redis */

static void watch(int fd, int op, uint32_t events, void *what) {
    struct epoll_event e = {.events = events, .data.ptr = what};
    if (epoll_ctl(loop_fd, op, fd, &e)) fail("epoll_ctl");
}

static void send_asked(void) {
    while (asked_bytes < asking.len) {
        ssize_t n = send(redis_fd, asking.data + asked_bytes, asking.len - asked_bytes, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) fail("redis");
        if (n < 0) {
            if (!redis_full) watch(redis_fd, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT, &redis_fd);
            redis_full = true;
            return;
        }
        asked_bytes += n;
    }
    asked_bytes = asking.len = 0;
    if (redis_full) watch(redis_fd, EPOLL_CTL_MOD, EPOLLIN, &redis_fd);
    redis_full = false;
}

/* Takes one answer from `at`; where it ends, or NULL if it is not whole. */
static uint8_t *take_answer(uint8_t *at, uint8_t *end) {
    uint8_t *line_end = memchr(at, '\n', end - at);
    if (!line_end) return NULL;
    uint8_t *after = line_end + 1;
    if (*at != '$') return answered(NULL, 0, "error"), after;
    long len = strtol((char *)at + 1, NULL, 10);
    if (len < 0) return answered(NULL, 0, "empty"), after;
    if (end - after < len + 2) return NULL;
    answered(after, len, "ok");
    return after + len + 2;
}

static void read_answers(void) {
    for (;;) {
        reserve(&answers, 65536);
        size_t room = answers.room - answers.len;
        ssize_t got = recv(redis_fd, answers.data + answers.len, room, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) fail("redis");
        answers.len += got;
        uint8_t *at = answers.data, *end = at + answers.len, *after;
        while (at < end && (after = take_answer(at, end))) at = after;
        answers.len = end - at;
        memmove(answers.data, at, answers.len);
        if ((size_t)got < room) return;
    }
}

/* the loop */

static void ask_what_is_due(void) {
    for (int part = 0; part < PARTS; part++) {
        Queue *q = &delayed[part];
        while (q->count && q->slots[q->first].due <= now) ask(pop(q));
    }
}

/* How long until the next delayed lookup; NULL: for ever. */
static struct timespec *until_due(struct timespec *t) {
    int64_t next = INT64_MAX;
    for (int part = 0; part < PARTS; part++) {
        Queue *q = &delayed[part];
        if (q->count && q->slots[q->first].due < next) next = q->slots[q->first].due;
    }
    if (next == INT64_MAX) return NULL;
    read_clock();
    int64_t left = next > now ? next - now : 0;
    *t = (struct timespec){left / 1000000, left % 1000000 * 1000};
    return t;
}

static void accept_all(int listen_fd) {
    int fd, one = 1;
    while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        Client *c = calloc(1, sizeof *c);
        if (!c) fail("memory");
        c->fd = fd;
        watch(fd, EPOLL_CTL_ADD, EPOLLIN, c);
    }
}

static void turn(int *listen_fd) {
    struct epoll_event events[EVENTS];
    struct timespec t;
    int ready = epoll_pwait2(loop_fd, events, EVENTS, slow ? until_due(&t) : NULL, NULL);
    if (ready < 0 && errno != EINTR) fail("epoll_wait");
    read_clock();
    for (int i = 0; i < ready; i++) {
        void *what = events[i].data.ptr;
        if (what == &redis_fd && events[i].events & EPOLLIN) read_answers();
        if (what == &redis_fd && events[i].events & EPOLLOUT) send_asked();
        if (what == listen_fd) accept_all(*listen_fd);
        else if (what != &redis_fd) receive(what);
    }
    if (slow) ask_what_is_due();
    if (!redis_full) send_asked();
    while (graves) {
        Client *c = graves;
        graves = c->next_buried;
        free(c->reply.data);
        free(c);
    }
}

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "usage: floor PORT REDIS_PORT [slow]\n"), 2;
    slow = argc > 3 && strcmp(argv[3], "slow") == 0;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    redis_fd = socket(AF_INET, SOCK_STREAM, 0);
    addr.sin_port = htons(atoi(argv[2]));
    if (connect(redis_fd, (void *)&addr, sizeof addr)) fail("redis");
    setsockopt(redis_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(redis_fd, F_SETFL, O_NONBLOCK);
    addr.sin_port = htons(atoi(argv[1]));
    setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listen_fd, (void *)&addr, sizeof addr) || listen(listen_fd, 1024)) fail("listen");
    loop_fd = epoll_create1(0);
    watch(redis_fd, EPOLL_CTL_ADD, EPOLLIN, &redis_fd);
    watch(listen_fd, EPOLL_CTL_ADD, EPOLLIN, &listen_fd);
    for (;;) turn(&listen_fd);
}
