// Few types and methods, so that a configuration of them is read in no time.

struct Node {
  1: optional string name
  2: list<Node> children
  3: map<string, Node> named
  4: required i64 number
}

exception Wrong { 1: string message }

service Few {
  i64 number(1: i64 number = 7)
  list<Node> nodes(1: required i32 n, 2: Node node) throws (1: Wrong wrong)
  Node node(1: i64 number)
  oneway void tell(1: string text)
}
