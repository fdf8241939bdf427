/* Apache's C client over GLib: `client PLACE TRANSPORT PROTOCOL NAMES`, as for Python's client. A failed check says where and
   ends the program. What is made is not freed: the program is short. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <thrift/c_glib/protocol/thrift_binary_protocol.h>
#include <thrift/c_glib/protocol/thrift_compact_protocol.h>
#include <thrift/c_glib/protocol/thrift_multiplexed_protocol.h>
#include <thrift/c_glib/thrift_application_exception.h>
#include <thrift/c_glib/transport/thrift_buffered_transport.h>
#include <thrift/c_glib/transport/thrift_framed_transport.h>
#include <thrift/c_glib/transport/thrift_socket.h>
#include <thrift/c_glib/transport/thrift_ssl_socket.h>

#include "echo_echo.h"

static int calls = 0;
/* A flaw of the library: over TLS it reads one record and takes it for the whole frame. */
static gboolean reads_large = TRUE;
static GError *error = NULL;

#define CHECK(what)                                                                                          \
  do {                                                                                                       \
    if (!(what)) {                                                                                           \
      fprintf (stderr, "%s:%d: after %d calls: %s: %s\n", __FILE__, __LINE__, calls, #what,                  \
               error ? error->message : "");                                                                 \
      exit (1);                                                                                              \
    }                                                                                                        \
  } while (0)

/* Checks that each number comes back unchanged. */
#define SAME(type, method, ...)                                                                              \
  do {                                                                                                       \
    const type values[] = { __VA_ARGS__ };                                                                   \
    for (size_t at = 0; at < G_N_ELEMENTS (values); ++at) {                                                  \
      type got = 0;                                                                                          \
      CALL (method, &got, values[at]);                                                                       \
      CHECK (memcmp (&got, &values[at], sizeof got) == 0);                                                   \
    }                                                                                                        \
  } while (0)

/* Calls a method, which must succeed. */
#define CALL(method, ...)                                                                                    \
  do {                                                                                                       \
    ++calls;                                                                                                 \
    CHECK (echo_echo_if_##method (client, __VA_ARGS__, &error));                                             \
  } while (0)

static gchar *
repeated (const gchar *text, int times)
{
  GString *all = g_string_new (NULL);
  while (times-- > 0)
    g_string_append (all, text);
  return g_string_free (all, FALSE);
}

static void
base_types (echoEchoIf *client)
{
  ++calls;
  CHECK (echo_echo_if_test_void (client, &error));
  /* The library's text ends at the first NUL. */
  const gchar *texts[] = { "", "x", "tab\t newline\n quote\" backslash\\", "Grüße, 世界 🎈", repeated ("ü", 127),
                           repeated ("ü", 128), repeated ("0123456789abcdef", 1 << 16) };
  for (size_t at = 0; at < G_N_ELEMENTS (texts) - !reads_large; ++at) {
    gchar *got = NULL;
    CALL (test_string, &got, texts[at]);
    CHECK (strcmp (got, texts[at]) == 0);
  }
  SAME (gboolean, test_bool, TRUE, FALSE);
  SAME (gint8, test_byte, G_MININT8, -1, 0, 1, 63, 64, G_MAXINT8);
  SAME (gint16, test_short, G_MININT16, -1, 0, 1, 63, 64, G_MAXINT16);
  SAME (gint32, test_int, G_MININT32, -1, 0, 1, 63, 64, G_MAXINT32);
  SAME (gint64, test_long, G_MININT64, -1, 0, 1, 63, 64, G_MAXINT64);
  SAME (gdouble, test_double, 0.0, -0.0, 1.5, -1.0, 5e-324, 1.7976931348623157e308, INFINITY, -INFINITY, NAN);
  SAME (echoSeason, test_enum, ECHO_SEASON_SPRING, ECHO_SEASON_AUTUMN, ECHO_SEASON_WINTER);
  SAME (gint64, test_typedef, G_MININT64, 0, G_MAXINT64);
  const guint sizes[] = { 0, 1, 256, 1 << 20 };
  for (size_t at = 0; at < G_N_ELEMENTS (sizes) - !reads_large; ++at) {
    GByteArray *sent = g_byte_array_sized_new (sizes[at]), *got = NULL;
    for (guint byte = 0; byte < sizes[at]; ++byte)
      g_byte_array_append (sent, (const guint8[]){ (guint8) byte }, 1);
    CALL (test_binary, &got, sent);
    CHECK (got->len == sent->len && (got->len == 0 || memcmp (got->data, sent->data, got->len) == 0));
  }
}

static echoLeaf *
leaf (const gchar *text)
{
  return g_object_new (ECHO_TYPE_LEAF, "text", text, "tiny", G_MININT8, "number", G_MININT32, "wide", G_MAXINT64, NULL);
}

static int
is_leaf (const echoLeaf *got, const gchar *text)
{
  return strcmp (got->text, text) == 0 && got->tiny == G_MININT8 && got->number == G_MININT32 && got->wide == G_MAXINT64;
}

static GArray *
numbers (int size, const void *values, int count)
{
  return g_array_append_vals (g_array_new (FALSE, TRUE, size), values, count);
}

static int
same_numbers (const GArray *a, const GArray *b)
{
  gsize bytes = (gsize) a->len * g_array_get_element_size ((GArray *) a);
  return a->len == b->len && (bytes == 0 || memcmp (a->data, b->data, bytes) == 0);
}

static echoEverything *
everything (void)
{
  GByteArray *bytes = g_byte_array_append (g_byte_array_new (), (const guint8 *) "\0\xff", 2);
  GArray *bits = numbers (sizeof (gboolean), (const gboolean[]){ TRUE, FALSE, TRUE }, 3);
  echoEverything *made = g_object_new (ECHO_TYPE_EVERYTHING, "yes", TRUE, "no", FALSE, "tiny", -1, "small", G_MININT16,
                                       "number", 1 << 30, "wide", G_MININT64, "ratio", -0.5, "text", "Grüße", "bytes", bytes,
                                       "season", ECHO_SEASON_WINTER, "moment", G_GINT64_CONSTANT (1) << 40, "leaf",
                                       leaf ("leaf"), "bits", bits, NULL);
  made->__isset_words = made->__isset_lists = TRUE;
  g_hash_table_insert (made->words, g_strdup ("a"), NULL);
  g_hash_table_insert (made->words, g_strdup (""), NULL);
  g_hash_table_insert (made->words, g_strdup ("ü"), NULL);
  g_hash_table_insert (made->lists, g_strdup ("none"), g_array_new (FALSE, TRUE, sizeof (gint16)));
  g_hash_table_insert (made->lists, g_strdup ("some"), numbers (sizeof (gint16), (const gint16[]){ 1, -1 }, 2));
  return made;
}

static void
check_everything (echoEchoIf *client, const echoEverything *sent)
{
  echoEverything *got = g_object_new (ECHO_TYPE_EVERYTHING, NULL);
  CALL (test_everything, &got, sent);
  CHECK (got->yes == sent->yes && got->no == sent->no && got->tiny == sent->tiny && got->small == sent->small);
  CHECK (got->number == sent->number && got->wide == sent->wide && got->ratio == sent->ratio);
  CHECK (strcmp (got->text, sent->text) == 0 && got->bytes->len == 2 && memcmp (got->bytes->data, "\0\xff", 2) == 0);
  CHECK (got->season == sent->season && got->moment == sent->moment && is_leaf (got->leaf, "leaf"));
  CHECK (same_numbers (got->bits, sent->bits) && g_hash_table_size (got->words) == 3);
  CHECK (g_hash_table_contains (got->words, "") && g_hash_table_contains (got->words, "ü"));
  GArray *some = g_hash_table_lookup (got->lists, "some"), *none = g_hash_table_lookup (got->lists, "none");
  CHECK (some->len == 2 && g_array_index (some, gint16, 1) == -1 && none->len == 0);
  CHECK (got->__isset_absent == sent->__isset_absent && (!got->absent || strcmp (got->absent, sent->absent) == 0));
  CHECK (got->__isset_given == sent->__isset_given && got->given == sent->given);
  CHECK (got->__isset_last == sent->__isset_last && got->last == sent->last);
}

static echoTree *
tree (const gchar *name, echoTree *child, int times)
{
  GPtrArray *children = g_ptr_array_new ();
  while (times-- > 0)
    g_ptr_array_add (children, g_object_ref (child));
  return g_object_new (ECHO_TYPE_TREE, "name", name, "children", children, NULL);
}

static int
same_trees (const echoTree *a, const echoTree *b)
{
  if (strcmp (a->name, b->name) != 0 || a->children->len != b->children->len)
    return 0;
  for (guint at = 0; at < a->children->len; ++at)
    if (!same_trees (a->children->pdata[at], b->children->pdata[at]))
      return 0;
  return 1;
}

static void
structs (echoEchoIf *client)
{
  const gchar *texts[] = { "leaf", "世界", "" };
  for (size_t at = 0; at < G_N_ELEMENTS (texts); ++at) {
    echoLeaf *got = g_object_new (ECHO_TYPE_LEAF, NULL);
    CALL (test_struct, &got, leaf (texts[at]));
    CHECK (is_leaf (got, texts[at]));
  }
  echoBranch *branch = g_object_new (ECHO_TYPE_BRANCH, "tiny", 1, "leaf", leaf ("leaf"), "number", -1, NULL);
  echoBranch *nested = g_object_new (ECHO_TYPE_BRANCH, NULL);
  CALL (test_nest, &nested, branch);
  CHECK (nested->tiny == 1 && nested->number == -1 && is_leaf (nested->leaf, "leaf"));
  check_everything (client, everything ());
  echoEverything *given = everything ();
  g_object_set (given, "absent", "", "given", 0, "last", FALSE, NULL);
  check_everything (client, given);
  echoTree *end = tree ("leaf", NULL, 0), *deep = end;
  for (int level = 0; level < 25; ++level)
    deep = tree ("level", deep, 1);
  echoTree *trees[] = { deep, tree ("wide", end, reads_large ? 1000 : 100) };
  for (size_t at = 0; at < G_N_ELEMENTS (trees); ++at) {
    echoTree *got = g_object_new (ECHO_TYPE_TREE, NULL);
    CALL (test_tree, &got, trees[at]);
    CHECK (same_trees (got, trees[at]));
  }
  echoChoice *number = g_object_new (ECHO_TYPE_CHOICE, "number", -1, NULL), *got = g_object_new (ECHO_TYPE_CHOICE, NULL);
  CALL (test_union, &got, number);
  CHECK (got->__isset_number && !got->__isset_text && got->number == -1);
  echoChoice *leaves = g_object_new (ECHO_TYPE_CHOICE, "leaf", leaf ("leaf"), NULL);
  got = g_object_new (ECHO_TYPE_CHOICE, NULL);
  CALL (test_union, &got, leaves);
  CHECK (got->__isset_leaf && !got->__isset_number && is_leaf (got->leaf, "leaf"));
  GHashTable *names = g_hash_table_new (g_int_hash, g_int_equal);
  gint16 zero[2] = { 0 };
  g_hash_table_insert (names, zero, "");
  echoLeaf *multi = g_object_new (ECHO_TYPE_LEAF, NULL);
  CALL (test_multi, &multi, "Grüße", G_MININT8, G_MININT32, G_MAXINT64, names, ECHO_SEASON_WINTER);
  CHECK (is_leaf (multi, "Grüße"));
}

static GHashTable *
ints (const gint32 *edges, int count, int values)
{
  GHashTable *made = g_hash_table_new (g_int_hash, g_int_equal);
  for (int at = 0; at < count; ++at)
    g_hash_table_insert (made, (gpointer) &edges[at], values ? (gpointer) &edges[count - 1 - at] : NULL);
  return made;
}

static void
containers (echoEchoIf *client)
{
  static const gint32 edges[] = { G_MININT32, -1, 0, 1, 63, 64, G_MAXINT32 };
  static gint32 many[10000];
  for (int at = 0; at < 10000; ++at)
    many[at] = at;
  const int lengths[] = { 0, 1, 14, 15, 10000 };
  for (size_t at = 0; at < G_N_ELEMENTS (lengths) - !reads_large; ++at) {
    GArray *sent = numbers (sizeof (gint32), many, lengths[at]), *got = g_array_new (FALSE, TRUE, sizeof (gint32));
    CALL (test_list, &got, sent);
    CHECK (same_numbers (got, sent));
    gboolean bits[10000];
    for (int bit = 0; bit < lengths[at]; ++bit)
      bits[bit] = bit % 3 == 0;
    sent = numbers (sizeof (gboolean), bits, lengths[at]);
    got = g_array_new (FALSE, TRUE, sizeof (gboolean));
    CALL (test_bits, &got, sent);
    CHECK (same_numbers (got, sent));
  }
  for (int count = 0; count <= 7; ++count) {
    GHashTable *set = g_hash_table_new (g_int_hash, g_int_equal), *map = g_hash_table_new (g_int_hash, g_int_equal);
    CALL (test_set, &set, ints (edges, count, 0));
    CALL (test_map, &map, ints (edges, count, 1));
    CHECK ((int) g_hash_table_size (set) == count && (int) g_hash_table_size (map) == count);
    for (int at = 0; at < count; ++at) {
      gint32 *value = g_hash_table_lookup (map, &edges[at]);
      CHECK (g_hash_table_contains (set, &edges[at]) && value && *value == edges[count - 1 - at]);
    }
  }
  GHashTable *texts = g_hash_table_new (g_str_hash, g_str_equal), *got = g_hash_table_new (g_str_hash, g_str_equal);
  g_hash_table_insert (texts, "ü", "世界");
  g_hash_table_insert (texts, "", "");
  CALL (test_string_map, &got, texts);
  CHECK (g_hash_table_size (got) == 2 && strcmp (g_hash_table_lookup (got, "ü"), "世界") == 0);
  CHECK (strcmp (g_hash_table_lookup (got, ""), "") == 0);
  GHashTable *one = g_hash_table_new (g_str_hash, g_str_equal);
  g_hash_table_insert (one, "a", (gpointer) &edges[0]);
  GPtrArray *maps = g_ptr_array_new (), *listed = g_ptr_array_new ();
  g_ptr_array_add (maps, one);
  g_ptr_array_add (maps, g_hash_table_new (g_str_hash, g_str_equal));
  CALL (test_list_of_maps, &listed, maps);
  CHECK (listed->len == 2 && g_hash_table_size (listed->pdata[1]) == 0);
  CHECK (*(gint32 *) g_hash_table_lookup (listed->pdata[0], "a") == G_MININT32);
  gint32 number = G_MAXINT32, minus = -G_MAXINT32;
  got = g_hash_table_new (g_int_hash, g_int_equal);
  CALL (test_map_map, &got, number);
  GHashTable *inner = g_hash_table_lookup (got, &number);
  CHECK (g_hash_table_size (got) == 1 && inner && g_hash_table_size (inner) == 2);
  CHECK (*(gint32 *) g_hash_table_lookup (inner, &minus) == minus);
  echoInsanity *insanity = g_object_new (ECHO_TYPE_INSANITY, NULL);
  insanity->__isset_moments = insanity->__isset_leaves = TRUE;
  gint64 *moment = g_new (gint64, 1);
  *moment = -8;
  g_hash_table_insert (insanity->moments, GINT_TO_POINTER (ECHO_SEASON_WINTER), moment);
  g_ptr_array_add (insanity->leaves, leaf ("leaf"));
  got = g_hash_table_new (g_int64_hash, g_int64_equal);
  CALL (test_insanity, &got, insanity);
  gint64 first = 1, second = 2;
  inner = g_hash_table_lookup (got, &first);
  echoInsanity *summer = g_hash_table_lookup (inner, GINT_TO_POINTER (ECHO_SEASON_SUMMER));
  CHECK (g_hash_table_size (inner) == 2 && summer->leaves->len == 1 && is_leaf (summer->leaves->pdata[0], "leaf"));
  CHECK (*(gint64 *) g_hash_table_lookup (summer->moments, GINT_TO_POINTER (ECHO_SEASON_WINTER)) == -8);
  inner = g_hash_table_lookup (got, &second);
  CHECK (g_hash_table_size (inner) == 1 && g_hash_table_contains (inner, GINT_TO_POINTER (ECHO_SEASON_AUTUMN)));
}

static void
exceptions (echoEchoIf *client)
{
  echoSorry *sorry = NULL;
  echoSad *sad = NULL;
  echoLeaf *got = g_object_new (ECHO_TYPE_LEAF, NULL);
  CHECK (!echo_echo_if_test_exception (client, "sorry", &sorry, &error));
  CHECK (error->domain == ECHO_SORRY_ERROR && sorry->number == 1001 && strcmp (sorry->words, "sorry") == 0);
  /* If the pointer is not null, the library takes its target for the exception. */
  sorry = NULL;
  g_clear_error (&error);
  CHECK (!echo_echo_if_test_exception (client, "broken", &sorry, &error));
  CHECK (error->domain == THRIFT_APPLICATION_EXCEPTION_ERROR && error->code == 6);
  CHECK (strstr (error->message, "call.required_failed"));
  g_clear_error (&error);
  CHECK (echo_echo_if_test_exception (client, "fine", &sorry, &error));
  CHECK (!echo_echo_if_test_multi_exception (client, &got, "sorry", "words", &sorry, &sad, &error));
  CHECK (error->domain == ECHO_SORRY_ERROR && strcmp (sorry->words, "This is a sorry") == 0);
  sorry = NULL;
  g_clear_error (&error);
  CHECK (!echo_echo_if_test_multi_exception (client, &got, "sad", "words", &sorry, &sad, &error));
  CHECK (error->domain == ECHO_SAD_ERROR && sad->number == 2002 && strcmp (sad->leaf->text, "This is a sad") == 0);
  sad = NULL;
  g_clear_error (&error);
  CALL (test_multi_exception, &got, "fine", "words", &sorry, &sad);
  CHECK (strcmp (got->text, "words") == 0);
  calls += 5;
}

static void
oneway (echoEchoIf *client)
{
  gchar *token = g_strdup_printf ("C %d %" G_GINT64_FORMAT, (int) getpid (), g_get_monotonic_time ());
  gboolean arrived = TRUE;
  CALL (test_arrived, &arrived, token);
  CHECK (!arrived);
  CALL (test_oneway, token);
  SAME (gint32, test_int, 42);
  /* The oneway call started before the next calls, but need not have ended. */
  for (int tries = 0; tries < 100 && !arrived; ++tries)
    CALL (test_arrived, &arrived, token);
  CHECK (arrived);
}

static ThriftTransport *
socket_to (const char *place)
{
  const char *where = strchr (place, ':') + 1;
  if (g_str_has_prefix (place, "unix:"))
    return g_object_new (THRIFT_TYPE_SOCKET, "path", where, NULL);
  if (g_str_has_prefix (place, "tcp:"))
    return g_object_new (THRIFT_TYPE_SOCKET, "hostname", "127.0.0.1", "port", atoi (where), NULL);
  thrift_ssl_socket_initialize_openssl ();
  ThriftSSLSocket *socket = thrift_ssl_socket_new_with_host (TLSv1_2, "localhost", atoi (where), &error);
  CHECK (socket && thrift_ssl_load_cert_from_file (socket, getenv ("ECHO_CA")));
  return THRIFT_TRANSPORT (socket);
}

int
main (int count, char **options)
{
  if (count != 5)
    return 2;
  GType framing = strcmp (options[2], "framed") == 0 ? THRIFT_TYPE_FRAMED_TRANSPORT : THRIFT_TYPE_BUFFERED_TRANSPORT;
  ThriftTransport *transport = g_object_new (framing, "transport", socket_to (options[1]), NULL);
  GType coding = strcmp (options[3], "compact") == 0 ? THRIFT_TYPE_COMPACT_PROTOCOL : THRIFT_TYPE_BINARY_PROTOCOL;
  ThriftProtocol *read = g_object_new (coding, "transport", transport, NULL), *written = read;
  /* Servers reply with the bare method name. */
  if (strcmp (options[4], "multiplexed") == 0)
    written = g_object_new (THRIFT_TYPE_MULTIPLEXED_PROTOCOL, "transport", transport, "protocol", read, "service-name",
                            "Echo", NULL);
  reads_large = framing == THRIFT_TYPE_BUFFERED_TRANSPORT || !g_str_has_prefix (options[1], "tls:");
  CHECK (thrift_transport_open (transport, &error));
  echoEchoIf *client = g_object_new (ECHO_TYPE_ECHO_CLIENT, "input_protocol", read, "output_protocol", written, NULL);
  base_types (client);
  structs (client);
  containers (client);
  exceptions (client);
  oneway (client);
  CHECK (thrift_transport_close (transport, &error));
  printf ("%d calls\n", calls);
  return 0;
}
