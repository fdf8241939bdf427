// Apache's Go client: `client PLACE TRANSPORT PROTOCOL NAMES`, as for Python's client. The library checks the name and the
// sequence id of every reply, and sends oneway calls as ordinary calls.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"reflect"
	"sort"
	"strings"
	"time"

	"echo"

	"github.com/apache/thrift/lib/go/thrift"
)

var (
	ctx   = context.Background()
	calls = 0
)

func check(holds bool, what ...any) {
	if !holds {
		fmt.Fprintln(os.Stderr, append([]any{"after", calls, "calls:"}, what...)...)
		os.Exit(1)
	}
}

func must[T any](got T, err error) T {
	calls++
	check(err == nil, err)
	return got
}

// Checks that each value comes back unchanged.
func same[T any](method func(context.Context, T) (T, error), values ...T) {
	for _, value := range values {
		got := must(method(ctx, value))
		check(reflect.DeepEqual(got, value), "sent", value, "got", got)
	}
}

func everyByte() []byte {
	all := make([]byte, 256)
	for at := range all {
		all[at] = byte(at)
	}
	return all
}

func baseTypes(client *echo.EchoClient) {
	must(0, client.TestVoid(ctx))
	same(client.TestString, "", "x", "nul\x00\t\n\"\\", "Grüße, 世界 🎈", strings.Repeat("ü", 127), strings.Repeat("ü", 128),
		strings.Repeat("0123456789abcdef", 1<<16))
	same(client.TestBool, true, false)
	same(client.TestByte, math.MinInt8, -1, 0, 1, 63, 64, math.MaxInt8)
	same(client.TestShort, math.MinInt16, -1, 0, 1, 63, 64, math.MaxInt16)
	same(client.TestInt, math.MinInt32, -1, 0, 1, 63, 64, math.MaxInt32)
	same(client.TestLong, math.MinInt64, -1, 0, 1, 63, 64, math.MaxInt64)
	for _, value := range []float64{0, math.Copysign(0, -1), 1.5, -1, math.SmallestNonzeroFloat64, math.MaxFloat64,
		math.Inf(1), math.Inf(-1), math.NaN()} {
		got := must(client.TestDouble(ctx, value))
		check(math.Float64bits(got) == math.Float64bits(value), "sent", value, "got", got)
	}
	same(client.TestBinary, []byte{}, []byte{0}, everyByte(), []byte(strings.Repeat(string(everyByte()), 1<<12)))
	same(client.TestEnum, echo.Season_SPRING, echo.Season_AUTUMN, echo.Season_WINTER)
	same(client.TestTypedef, math.MinInt64, 0, math.MaxInt64)
}

func leaf(text string) *echo.Leaf {
	return &echo.Leaf{Text: text, Tiny: math.MinInt8, Number: math.MinInt32, Wide: math.MaxInt64}
}

func everything() *echo.Everything {
	return &echo.Everything{Yes: true, No: false, Tiny: -1, Small: math.MinInt16, Number: 1 << 30, Wide: math.MinInt64,
		Ratio: -0.5, Text: "Grüße", Bytes: []byte{0, 0xff}, Season: echo.Season_WINTER, Moment: 1 << 40, Leaf: leaf("leaf"),
		Bits: []bool{true, false, true}, Words: []string{"", "a", "ü"},
		Lists: map[string][]int16{"none": {}, "some": {1, -1}}}
}

func structs(client *echo.EchoClient) {
	same(client.TestStruct, leaf("leaf"), leaf("世界"), &echo.Leaf{})
	same(client.TestNest, &echo.Branch{Tiny: 1, Leaf: leaf("leaf"), Number: -1}, &echo.Branch{Leaf: &echo.Leaf{}})
	given, empty, no := int32(0), "", false
	some := everything()
	some.Given, some.Absent, some.Last = &given, &empty, &no
	for _, value := range []*echo.Everything{everything(), some} {
		got := must(client.TestEverything(ctx, value))
		sort.Strings(got.Words)
		check(reflect.DeepEqual(got, value), "sent", value, "got", got)
	}
	deep := &echo.Tree{Name: "leaf", Children: []*echo.Tree{}}
	for level := 0; level < 25; level++ {
		deep = &echo.Tree{Name: fmt.Sprint("level ", level), Children: []*echo.Tree{deep}}
	}
	wide := &echo.Tree{Name: "wide"}
	for at := 0; at < 1000; at++ {
		wide.Children = append(wide.Children, &echo.Tree{Name: fmt.Sprint(at), Children: []*echo.Tree{}})
	}
	same(client.TestTree, deep, wide)
	number := int32(-1)
	same(client.TestUnion, &echo.Choice{Number: &number}, &echo.Choice{Text: &empty}, &echo.Choice{Leaf: leaf("leaf")})
	got := must(client.TestMulti(ctx, "Grüße", math.MinInt8, math.MinInt32, math.MaxInt64, map[int16]string{0: "", -1: "ü"},
		echo.Season_WINTER))
	check(reflect.DeepEqual(got, leaf("Grüße")), got)
}

func containers(client *echo.EchoClient) {
	many := make([]int32, 10_000)
	for at := range many {
		many[at] = int32(at)
	}
	edges := []int32{math.MinInt32, -1, 0, 1, 63, 64, math.MaxInt32}
	same(client.TestList, []int32{}, []int32{0}, edges, many, make([]int32, 14), make([]int32, 15))
	same(client.TestBits, []bool{}, []bool{true}, []bool{false, true, true, false}, make([]bool, 1000))
	for _, value := range [][]int32{{}, {0}, edges} {
		got := must(client.TestSet(ctx, value))
		sort.Slice(got, func(a, b int) bool { return got[a] < got[b] })
		check(reflect.DeepEqual(got, value), "sent", value, "got", got)
	}
	pairs := map[int32]int32{}
	for _, edge := range edges {
		pairs[edge] = -1 - edge
	}
	same(client.TestMap, map[int32]int32{}, map[int32]int32{0: 0}, pairs)
	same(client.TestStringMap, map[string]string{}, map[string]string{"": ""},
		map[string]string{"a": "2", "ü": "世界", "blank": ""})
	same(client.TestListOfMaps, []map[string]int32{}, []map[string]int32{{}}, []map[string]int32{{"a": 1}, {}, {"b": -1, "": 0}})
	for _, number := range []int32{1, -5, math.MaxInt32} {
		got := must(client.TestMapMap(ctx, number))
		check(reflect.DeepEqual(got, map[int32]map[int32]int32{number: {number: number, -number: -number}}), got)
	}
	insanity := &echo.Insanity{Moments: map[echo.Season]echo.Moment{echo.Season_SPRING: 5, echo.Season_WINTER: -8},
		Leaves: []*echo.Leaf{leaf("leaf"), leaf("")}}
	expected := map[echo.Moment]map[echo.Season]*echo.Insanity{
		1: {echo.Season_SPRING: insanity, echo.Season_SUMMER: insanity}, 2: {echo.Season_AUTUMN: &echo.Insanity{}}}
	got := must(client.TestInsanity(ctx, insanity))
	check(reflect.DeepEqual(got, expected), got)
}

func raised[E error](err error) E {
	calls++
	var raised E
	check(errors.As(err, &raised), "raised:", err)
	return raised
}

func exceptions(client *echo.EchoClient) {
	sorry := raised[*echo.Sorry](client.TestException(ctx, "sorry"))
	check(sorry.Number == 1001 && sorry.Words == "sorry", sorry)
	broken := raised[thrift.TApplicationException](client.TestException(ctx, "broken"))
	check(broken.TypeId() == thrift.INTERNAL_ERROR && strings.HasPrefix(broken.Error(), "call.required_failed"), broken)
	must(0, client.TestException(ctx, "fine"))
	_, err := client.TestMultiException(ctx, "sorry", "words")
	sorry = raised[*echo.Sorry](err)
	check(sorry.Number == 1001 && sorry.Words == "This is a sorry", sorry)
	_, err = client.TestMultiException(ctx, "sad", "words")
	sad := raised[*echo.Sad](err)
	check(sad.Number == 2002 && sad.Leaf.Text == "This is a sad", sad)
	check(must(client.TestMultiException(ctx, "fine", "words")).Text == "words")
}

func oneway(client *echo.EchoClient) {
	token := fmt.Sprint("Go ", time.Now().UnixNano(), os.Getpid())
	check(!must(client.TestArrived(ctx, token)))
	must(0, client.TestOneway(ctx, token))
	same(client.TestInt, 42)
	// The oneway call started before the next calls, but need not have ended.
	arrived := false
	for tries := 0; tries < 100 && !arrived; tries++ {
		arrived = must(client.TestArrived(ctx, token))
	}
	check(arrived, "testOneway never arrived")
}

func connectionTo(place string, config *thrift.TConfiguration) thrift.TTransport {
	kind, where, _ := strings.Cut(place, ":")
	switch kind {
	case "unix":
		return thrift.NewTSocketFromAddrConf(&net.UnixAddr{Name: where, Net: "unix"}, config)
	case "tcp":
		return thrift.NewTSocketConf("localhost:"+where, config)
	}
	authority, err := os.ReadFile(os.Getenv("ECHO_CA"))
	check(err == nil, err)
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(authority)
	config.TLSConfig = &tls.Config{RootCAs: trusted, ServerName: "localhost"}
	return thrift.NewTSSLSocketConf("localhost:"+where, config)
}

func main() {
	place, transport, protocol, names := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	strict := protocol == "binary"
	config := &thrift.TConfiguration{TBinaryStrictRead: &strict, TBinaryStrictWrite: &strict}
	connection := connectionTo(place, config)
	check(connection.Open() == nil, "no connection")
	var factory thrift.TProtocolFactory = thrift.NewTBinaryProtocolFactoryConf(config)
	if protocol == "compact" {
		factory = thrift.NewTCompactProtocolFactoryConf(config)
	}
	switch transport {
	case "framed":
		connection = thrift.NewTFramedTransportConf(connection, config)
	case "unframed":
		connection = thrift.NewTBufferedTransport(connection, 8192)
	case "header":
		id := thrift.THeaderProtocolBinary
		if protocol == "compact" {
			id = thrift.THeaderProtocolCompact
		}
		config.THeaderProtocolID = &id
		factory = thrift.NewTHeaderProtocolFactoryConf(config)
	}
	read := factory.GetProtocol(connection)
	written := read
	if names == "multiplexed" {
		written = thrift.NewTMultiplexedProtocol(read, "Echo")
	}
	// Servers reply with the bare method name, and the library compares with that.
	client := echo.NewEchoClient(thrift.NewTStandardClient(read, written))
	baseTypes(client)
	structs(client)
	containers(client)
	exceptions(client)
	oneway(client)
	check(connection.Close() == nil, "not closed")
	fmt.Println(calls, "calls")
}
