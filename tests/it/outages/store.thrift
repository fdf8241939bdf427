// The service of thrift_store.py.
service Store {
  string get(1: string key)
}
