"""Calls every method of echo.thrift at the edges of its types, through a client of any Python library.

`check` is given the client, the module or namespace of its types, its TApplicationException, and whether the library can
read maps that have text in them. It returns how many calls it made.
"""

import math
import struct

MIB = 1 << 20
TEXTS = [
    "",
    "x",
    'tab\t newline\n quote" backslash\\ nul\0',
    "Grüße, 世界 🎈 \u202e",
    "ü" * 127,
    "ü" * 128,
    ("0123456789abcdef" * (MIB // 16)),
]
BYTES = [b"", b"\0", bytes(range(256)), b"\xff\xfe" * 300, bytes(range(256)) * (MIB // 256)]
DOUBLES = [0.0, -0.0, 1.5, -1.0, 5e-324, 1.7976931348623157e308, math.pi, math.inf, -math.inf, math.nan]
DEPTH = 25


def edges(bits):
    return [-(1 << (bits - 1)), -1, 0, 1, 63, 64, (1 << (bits - 1)) - 1]


class Checker:
    def __init__(self, client, types, text_maps):
        self.client, self.types, self.text_maps, self.calls = client, types, text_maps, 0

    def call(self, method, *params):
        self.calls += 1
        return getattr(self.client, method)(*params)

    def same(self, method, *values, fit=lambda got: got):
        """Checks that each value comes back unchanged, after `fit`."""
        for value in values:
            got = fit(self.call(method, value))
            assert got == value and type(got) is type(value), f"{method}: sent {value!r:.900}, got {got!r:.900}"

    def raises(self, kind, method, *params):
        try:
            got = self.call(method, *params)
        except kind as error:
            return error
        raise AssertionError(f"{method}: expected {kind.__name__}, got {got!r}")


def check(client, types, application_error, text_maps=True):
    checker = Checker(client, types, text_maps)
    base_types(checker)
    structs(checker)
    containers(checker)
    exceptions(checker, application_error)
    oneway(checker)
    return checker.calls


def base_types(checker):
    types, same = checker.types, checker.same
    assert checker.call("testVoid") is None
    same("testString", *TEXTS)
    same("testBool", True, False)
    same("testByte", *edges(8))
    same("testShort", *edges(16))
    same("testInt", *edges(32))
    same("testLong", *edges(64))
    for value in DOUBLES:
        got = checker.call("testDouble", value)
        # Compares bits: NaN is not equal to itself, and -0.0 is equal to 0.0.
        assert struct.pack(">d", got) == struct.pack(">d", value), f"testDouble: sent {value}, got {got}"
    same("testBinary", *BYTES)
    same("testEnum", types.Season.SPRING, types.Season.AUTUMN, types.Season.WINTER)
    same("testTypedef", *edges(64))


def leaf(types, text="leaf"):
    return types.Leaf(text=text, tiny=-128, number=-(1 << 31), wide=(1 << 63) - 1)


def everything(checker, **optional):
    types = checker.types
    return types.Everything(
        yes=True,
        no=False,
        tiny=-1,
        small=-32768,
        number=1 << 30,
        wide=-(1 << 63),
        ratio=-0.5,
        text="Grüße",
        bytes=b"\0\xff",
        season=types.Season.WINTER,
        moment=1 << 40,
        leaf=leaf(types),
        bits=[True, False, True],
        words={"a", "", "ü"},
        lists={"none": [], "some": [1, -1]} if checker.text_maps else {},
        **optional,
    )


def as_set(items):
    """Converts a set that the library read as a list."""
    assert len(items) == len(set(items)), items
    return set(items)


def with_set(everything):
    everything.words = as_set(everything.words)
    return everything


def structs(checker):
    types, same = checker.types, checker.same
    empty = types.Leaf(text="", tiny=0, number=0, wide=0)
    same("testStruct", leaf(types), leaf(types, "世界"), empty)
    same("testNest", types.Branch(tiny=1, leaf=leaf(types), number=-1), types.Branch(tiny=0, leaf=empty, number=0))
    given = [everything(checker, given=0, last=False), everything(checker, absent="", given=7, last=True)]
    same("testEverything", everything(checker), *given, fit=with_set)
    got = checker.call("testEverything", everything(checker))
    assert got.absent is None and got.given is None and got.last is None, got
    deep = types.Tree(name="leaf", children=[])
    for level in range(DEPTH):
        deep = types.Tree(name=f"level {level}", children=[deep])
    wide = types.Tree(name="wide", children=[types.Tree(name=str(at), children=[]) for at in range(1000)])
    same("testTree", deep, wide)
    same("testUnion", types.Choice(number=-1), types.Choice(text=""), types.Choice(leaf=leaf(types)))
    got = checker.call("testMulti", "Grüße", -128, -(1 << 31), (1 << 63) - 1, {0: "", -1: "ü"}, types.Season.WINTER)
    assert got == leaf(types, "Grüße"), got


def containers(checker):
    types, same = checker.types, checker.same
    same("testList", [], [0], edges(32), list(range(10_000)), [5] * 14, [5] * 15)
    same("testBits", [], [True], [False, True, True, False], [True, False] * 1000)
    same("testSet", set(), {0}, set(edges(32)), fit=as_set)
    same("testMap", {}, {0: 0}, {edge: -1 - edge for edge in edges(32)})
    same("testStringMap", {})
    same("testListOfMaps", [], [{}])
    if checker.text_maps:
        same("testStringMap", {"": ""}, {"a": "2", "ü": "世界", "blank": ""})
        same("testListOfMaps", [{"a": 1}, {}, {"b": -1, "": 0}])
    for number in (1, -5, (1 << 31) - 1):
        expected = {number: {number: number, -number: -number}}
        assert checker.call("testMapMap", number) == expected
    season = types.Season
    insanity = types.Insanity(moments={season.SPRING: 5, season.WINTER: -8}, leaves=[leaf(types), leaf(types, "")])
    got = checker.call("testInsanity", insanity)
    nothing = types.Insanity()
    assert got == {1: {season.SPRING: insanity, season.SUMMER: insanity}, 2: {season.AUTUMN: nothing}}, got


def exceptions(checker, application_error):
    types = checker.types
    error = checker.raises(types.Sorry, "testException", "sorry")
    assert (error.number, error.words) == (1001, "sorry"), error
    error = checker.raises(application_error, "testException", "broken")
    assert error.type == application_error.INTERNAL_ERROR, error
    assert error.message.startswith("call.required_failed"), error
    assert checker.call("testException", "fine") is None
    error = checker.raises(types.Sorry, "testMultiException", "sorry", "words")
    assert (error.number, error.words) == (1001, "This is a sorry"), error
    error = checker.raises(types.Sad, "testMultiException", "sad", "words")
    assert (error.number, error.leaf.text) == (2002, "This is a sad"), error
    assert checker.call("testMultiException", "fine", "words").text == "words"


def oneway(checker):
    """A oneway call gets no reply, so the next reply belongs to the next call; and the call is done."""
    token = f"token {id(checker)} {checker.calls}"
    assert not checker.call("testArrived", token)
    checker.call("testOneway", token)
    checker.same("testInt", 42)
    # The oneway call started before the next calls, but need not have ended.
    assert any(checker.call("testArrived", token) for _ in range(100)), "testOneway never arrived"
