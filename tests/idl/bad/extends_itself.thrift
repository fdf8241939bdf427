// 2: the service `S` extends itself
service S extends S {}
