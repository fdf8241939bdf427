include "parts/shared.thrift"

enum Color { RED = 1, GREEN = 2 }

struct Inner {
  1: i32 number = 7
  2: string text
  3: optional Color color = Color.GREEN
}

const bool YES = true
const bool NO = 0
const i8 TINY = -128
const byte ALSO_TINY = 127;
const i16 SHORT = 0x7FFF,
const i32 INT = -2147483648
const i64 LONG = -0x7FFFFFFFFFFFFFFF
const i32 FROM_BOOL = true
const double WHOLE = 3
const double FRACTION = .5
const double EXPONENT = -1.5e-3
const string TEXT = "double \"quotes\" and 'single' ones"
const string SINGLE = 'single \'quotes\' and "double" ones'
const string ESCAPED = "tab\tline\nreturn\rbackslash\\"
const string UNICODE = "żółw"
const binary BYTES = "bytes"
const list<i32> LIST = [1, 2; 3 4,]
const set<string> SET = ["a", "b"]
const map<string, list<i32>> MAP = {"one": [1]; "two": [INT, 2], "none": []}
const Inner STRUCT = {"number": 1, "text": TEXT}
const Color ENUM = Color.RED
const Color ENUM_NUMBER = 2
const i64 WIDER = INT
const double REAL = INT
const map<Color, Inner> DEEP = {Color.RED: {"text": "r"}, Color.GREEN: {}}
const map<list<i32>, set<Color>> ODD = {[1, 2]: [Color.RED]}
const i32 FAR = shared.ANSWER
const list<shared.Shade> SHADES = [shared.Shade.LIGHT, 9]

struct Defaults {
  1: bool yes = YES
  2: bool no = NO
  3: i8 tiny = TINY
  4: byte also_tiny = ALSO_TINY
  5: i16 short = SHORT
  6: i32 int = INT
  7: i64 long = LONG
  8: i32 from_bool = FROM_BOOL
  9: double whole = WHOLE
  10: double fraction = FRACTION
  11: double exponent = EXPONENT
  12: string text = TEXT
  13: string single = SINGLE
  14: string escaped = ESCAPED
  15: string unicode = UNICODE
  16: binary bytes = BYTES
  17: list<i32> list_of = LIST
  18: set<string> set_of = SET
  19: map<string, list<i32>> map_of = MAP
  20: Inner structure = {"number": 1, "text": TEXT}
  21: Color color = Color.RED
  22: Color number = 2
  23: i64 wider = WIDER
  24: double real = REAL
  25: map<Color, Inner> deep = DEEP
  26: map<list<i32>, set<Color>> odd = ODD
  27: i32 far = FAR
  28: list<shared.Shade> shades = SHADES
  29: list<i32> braces = {}
  30: map<i32, i32> brackets = []
  31: shared.Point point = {"x": 1.5}
  32: string literal = "it's"
  33: shared.Shade shade = Shade.DARK
}
