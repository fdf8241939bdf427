// What the compiler refuses although it can mean one thing only.
const list<Color> EARLY = [Color.RED, LATE]
const Color LATE = FROM_NUMBER
enum Color { RED, GREEN };
const i32 NUMBER = 1
const Color FROM_NUMBER = NUMBER

struct First { 1: Second second = {"words": EARLY} };
struct Second { 1: list<Color> words, 2: slist text = "t" }
typedef list<i32> cpp_type "Vector" Vector

// Words that are reserved for the sake of one target language.
struct Words { 1: string args, 2: i32 next, 3: i32 from, 4: i32 class, 5: Second (boxed) second }

service Late extends Later { void late() }
service Later { void later() }
