// 3: `namespace` comes after a definition; move `namespace` above the first definition
struct S {}
namespace py late
