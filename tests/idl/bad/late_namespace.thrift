// 3: `namespace` stands after a definition; move `namespace` above the first definition
struct S {}
namespace py late
