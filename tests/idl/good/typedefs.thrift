include "parts/shared.thrift"

// Every one of these stands before what it names.
typedef Leaves Forest (unused = "yes")
typedef list<Leaf> Leaves;
typedef Id LeafId,
typedef i64 Id
typedef shared.Meters Distance
typedef shared.Shade Tint
typedef map<LeafId, shared.Point> Places

struct Holder {
  1: Forest forest
  2: LeafId id
  3: Distance distance
  4: Tint tint = shared.Shade.DARK
  5: Places places
  6: Later later
}

struct Leaf { 1: Id id }
typedef set<Leaf> Later
