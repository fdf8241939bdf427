/* Offers calls to a framed Thrift server at a fixed rate, whatever becomes of them, and says what did.
 *
 * Call n is due at begin + n / RATE and goes out on connection n mod CONNECTIONS, whether or not earlier calls of that
 * connection have their replies: nothing that the server does makes the load smaller. Times count from when a call was due. All
 * calls have the same bytes but their sequence ids, and of a reply only its head and length are looked at, so that a call
 * costs this program as little as it can. Without a rate, each connection has one call at a time, which gives the capacity.
 *
 *   offer PORT FRAME CONNECTIONS RATE SECONDS TIMEOUT_MS WHOLE_BYTES
 *
 * FRAME is a file with one call, strict binary with its length before it. A reply is whole if it comes within TIMEOUT_MS and
 * is a result of at least WHOLE_BYTES bytes. RATE 0 means none. Prints one line of JSON:
 *   due       calls of the measured time
 *   unsent    of these, calls that found no room in a socket: the server does not read, or this program is too slow
 *   whole, late (whole but after the timeout), partial, refused (`server.overloaded`), failed (other exceptions)
 *   lost      calls that had no reply when the timeout had passed after the last one
 *   us        times of whole replies: p50 and p99
 *   behind_us the longest time by which a call was sent after it was due: if it is long, the load was not what it says
 *   cpu_s     CPU time of this program
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CALLS_AT_ONCE = 64, EVENTS = 1024, READ_MAX = 256 * 1024, FRAME_MAX = 64 * 1024, REPLY = 2, EXCEPTION = 3 };
/* Before the measured time the server warms up under the same load. */
static const int64_t WARMUP_US = 1000000;

/* When the unanswered calls of a connection were due: a ring whose size is a power of two. */
typedef struct { int64_t *due; size_t first, count, size; } Ring;

typedef struct {
    int fd;
    Ring calls;
    uint8_t *in;      /* a reply of which only a part has come */
    size_t in_len, in_room;
    uint8_t *out;     /* what found no room in the socket */
    size_t out_len, out_room;
    uint32_t sequence_sent, sequence_read;
    bool dead;
} Connection;

static struct { int64_t due, unsent, whole, late, partial, refused, failed, lost, behind; } count;
static uint8_t frame[FRAME_MAX];
static size_t frame_len, sequence_at;
static int64_t timeout_us, whole_bytes, measure_from, measure_to;
static uint32_t *times;
static size_t times_len, times_room;
static int loop_fd;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static void *grown(void *data, size_t *room, size_t needed, size_t each) {
    if (needed <= *room) return data;
    while (*room < needed) *room = *room ? *room * 2 : 64;
    data = realloc(data, *room * each);
    if (!data) fail("realloc");
    return data;
}

static uint32_t big_endian(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static bool measured(int64_t due) {
    return due >= measure_from && due < measure_to;
}

static void ring_push(Ring *ring, int64_t due) {
    if (ring->count == ring->size) {
        size_t size = ring->size ? ring->size * 2 : 16;
        int64_t *data = malloc(size * sizeof *data);
        if (!data) fail("malloc");
        for (size_t at = 0; at < ring->count; at++) data[at] = ring->due[(ring->first + at) & (ring->size - 1)];
        free(ring->due);
        *ring = (Ring){data, 0, ring->count, size};
    }
    ring->due[(ring->first + ring->count++) & (ring->size - 1)] = due;
}

static int64_t ring_pop(Ring *ring) {
    int64_t due = ring->due[ring->first];
    ring->first = (ring->first + 1) & (ring->size - 1);
    ring->count--;
    return due;
}

/* What becomes of the calls of a connection that ends shows as lost. */
static void end(Connection *connection) {
    if (connection->dead) return;
    connection->dead = true;
    close(connection->fd);
}

static void want_room(Connection *connection, bool wanted) {
    struct epoll_event event = {EPOLLIN | (wanted ? EPOLLOUT : 0), {.ptr = connection}};
    epoll_ctl(loop_fd, EPOLL_CTL_MOD, connection->fd, &event);
}

static void flush(Connection *connection) {
    ssize_t sent = send(connection->fd, connection->out, connection->out_len, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) { end(connection); return; }
    if (sent > 0) {
        connection->out_len -= sent;
        memmove(connection->out, connection->out + sent, connection->out_len);
    }
    want_room(connection, connection->out_len > 0);
}

/* Sends a call that was due at `due`. */
static void call(Connection *connection, int64_t due) {
    if (measured(due)) count.due++;
    ring_push(&connection->calls, due);
    if (connection->dead) return;
    uint32_t sequence = htonl(connection->sequence_sent++);
    memcpy(frame + sequence_at, &sequence, sizeof sequence);
    size_t sent = 0;
    if (!connection->out_len) {
        ssize_t some = send(connection->fd, frame, frame_len, MSG_NOSIGNAL);
        if (some < 0 && errno != EAGAIN) { end(connection); return; }
        sent = some < 0 ? 0 : (size_t)some;
    }
    if (sent == frame_len) {
        int64_t behind = now_us() - due;
        if (measured(due) && behind > count.behind) count.behind = behind;
        return;
    }
    if (measured(due)) count.unsent++;
    size_t rest = frame_len - sent;
    connection->out = grown(connection->out, &connection->out_room, connection->out_len + rest, 1);
    memcpy(connection->out + connection->out_len, frame + sent, rest);
    bool was_empty = !connection->out_len;
    connection->out_len += rest;
    if (was_empty) want_room(connection, true);
}

/* Classifies a message; its length is not part of it. */
static void answered(Connection *connection, const uint8_t *message, size_t len, int64_t now) {
    if (!connection->calls.count || len < 12 || len < 12 + (size_t)big_endian(message + 4)) {
        fprintf(stderr, "offer: a reply that is none\n");
        exit(1);
    }
    size_t name = big_endian(message + 4);
    if (big_endian(message + 8 + name) != connection->sequence_read++) {
        fprintf(stderr, "offer: the reply to another call\n");
        exit(1);
    }
    int64_t due = ring_pop(&connection->calls);
    if (!measured(due)) return;
    int64_t took = now - due;
    if (message[3] == EXCEPTION) {
        if (memmem(message, len, "server.overloaded", 17)) count.refused++;
        else count.failed++;
    } else if ((int64_t)len < whole_bytes) {
        count.partial++;
    } else if (took > timeout_us) {
        count.late++;
    } else {
        count.whole++;
        times = grown(times, &times_room, times_len + 1, sizeof *times);
        times[times_len++] = (uint32_t)took;
    }
}

/* Reads what has come. Returns how many calls were answered. */
static int64_t take(Connection *connection) {
    static uint8_t buffer[READ_MAX];
    ssize_t got = recv(connection->fd, buffer, sizeof buffer, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) end(connection);
        return 0;
    }
    const uint8_t *at = buffer;
    size_t len = got;
    if (connection->in_len) {
        connection->in = grown(connection->in, &connection->in_room, connection->in_len + len, 1);
        memcpy(connection->in + connection->in_len, buffer, len);
        at = connection->in;
        len += connection->in_len;
    }
    int64_t now = now_us(), replies = 0;
    while (len >= 4 && len - 4 >= big_endian(at)) {
        size_t message = big_endian(at);
        answered(connection, at + 4, message, now);
        at += 4 + message;
        len -= 4 + message;
        replies++;
    }
    connection->in = grown(connection->in, &connection->in_room, len, 1);
    memmove(connection->in, at, len);
    connection->in_len = len;
    return replies;
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t percentile(double share) {
    return times_len ? times[(size_t)(share * (double)(times_len - 1))] : 0;
}

static Connection *connect_all(int port, size_t connections) {
    Connection *all = calloc(connections, sizeof *all);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    for (size_t at = 0; at < connections; at++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to)) fail("connect");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        fcntl(fd, F_SETFL, O_NONBLOCK);
        all[at].fd = fd;
        struct epoll_event event = {EPOLLIN, {.ptr = &all[at]}};
        if (epoll_ctl(loop_fd, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
    }
    return all;
}

static void read_frame(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(path);
    frame_len = fread(frame, 1, sizeof frame, file);
    fclose(file);
    sequence_at = frame_len < 12 ? 0 : 12 + big_endian(frame + 8);
    if (frame_len < 16 || frame_len != 4 + big_endian(frame) || sequence_at + 4 > frame_len) {
        fprintf(stderr, "offer: %s is no call\n", path);
        exit(1);
    }
}

static void say(double seconds) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    qsort(times, times_len, sizeof *times, by_size);
    printf("{\"seconds\": %g, \"due\": %ld, \"unsent\": %ld, \"whole\": %ld, \"late\": %ld, \"partial\": %ld, \"refused\": %ld, "
           "\"failed\": %ld, \"lost\": %ld, \"us\": {\"p50\": %u, \"p99\": %u}, \"behind_us\": %ld, \"cpu_s\": %.3f}\n",
           seconds, count.due, count.unsent, count.whole, count.late, count.partial, count.refused, count.failed, count.lost,
           percentile(0.5), percentile(0.99), count.behind,
           (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
}

int main(int argc, char **argv) {
    if (argc != 8) {
        fprintf(stderr, "usage: offer PORT FRAME CONNECTIONS RATE SECONDS TIMEOUT_MS WHOLE_BYTES\n");
        return 2;
    }
    size_t connections = strtoul(argv[3], NULL, 10), next = 0;
    double rate = strtod(argv[4], NULL), seconds = strtod(argv[5], NULL);
    timeout_us = strtol(argv[6], NULL, 10) * 1000;
    whole_bytes = strtol(argv[7], NULL, 10);
    read_frame(argv[2]);
    loop_fd = epoll_create1(0);
    Connection *all = connect_all(atoi(argv[1]), connections);
    int64_t begin = now_us(), made = 0;
    measure_from = begin + WARMUP_US;
    measure_to = measure_from + (int64_t)(seconds * 1e6);
    for (size_t at = 0; rate == 0 && at < connections; at++) call(&all[at], now_us());
    struct epoll_event events[EVENTS];
    for (;;) {
        int64_t now = now_us(), until = now < measure_to ? now : measure_to;
        int64_t due = rate > 0 ? (int64_t)((double)(until - begin) * rate / 1e6) : 0;
        /* Not all that are due: replies are read in between, so that their times are right. */
        for (int at = 0; at < CALLS_AT_ONCE && made < due; at++, made++) {
            call(&all[next], begin + (int64_t)((double)made * 1e6 / rate));
            next = next + 1 == connections ? 0 : next + 1;
        }
        bool late = made < due;
        if (now >= measure_to + timeout_us) break;
        int ready = epoll_wait(loop_fd, events, EVENTS, late ? 0 : 1);
        for (int at = 0; at < ready; at++) {
            Connection *connection = events[at].data.ptr;
            if (connection->dead) continue;
            if (events[at].events & EPOLLOUT) flush(connection);
            int64_t replies = connection->dead ? 0 : take(connection);
            if (rate == 0 && now < measure_to)
                for (; replies; replies--) call(connection, now_us());
        }
    }
    for (size_t at = 0; at < connections; at++)
        while (all[at].calls.count)
            if (measured(ring_pop(&all[at].calls))) count.lost++;
    say(seconds);
    return 0;
}
