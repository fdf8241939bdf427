// 3: `requires_itself.Node` can never be built: it requires itself; make one of these optional
struct Node {
  1: required Node next
}
