"""Takes traces over OTLP/HTTP as protobuf, and prints what each request says as a line of JSON.

With the paths of a certificate and its key it speaks TLS. The messages are the classes of the package `opentelemetry-proto`, so that the program's own encoder does not test itself.
"""

import gzip
import http.server
import json
import ssl
import sys

from google.protobuf import unknown_fields
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.trace.v1 import trace_pb2


def attributes(of):
    return [{"key": a.key, "value": {a.value.WhichOneof("value"): getattr(a.value, a.value.WhichOneof("value"))}} for a in of]


def unknown(message):
    count = len(unknown_fields.UnknownFieldSet(message))
    for field, value in message.ListFields():
        if field.message_type is not None:
            inner = value if field.is_repeated else [value]
            count += sum(unknown(one) for one in inner)
    return count


def span(of):
    return {
        "trace": of.trace_id.hex(),
        "id": of.span_id.hex(),
        "parent": of.parent_span_id.hex(),
        "name": of.name,
        "kind": trace_pb2.Span.SpanKind.Name(of.kind),
        "start": of.start_time_unix_nano,
        "end": of.end_time_unix_nano,
        "attributes": attributes(of.attributes),
        "links": [link.span_id.hex() for link in of.links],
        "status": trace_pb2.Status.StatusCode.Name(of.status.code),
    }


class Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        encoding = self.headers.get("content-encoding")
        if encoding == "gzip":
            body = gzip.decompress(body)
        request = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
        for of in request.resource_spans:
            print(json.dumps({
                "path": self.path,
                "content": self.headers.get("content-type"),
                "encoding": encoding,
                "unknown": unknown(request),
                "resource": {"attributes": attributes(of.resource.attributes)},
                "spans": [span(one) for scope in of.scope_spans for one in scope.spans],
            }), flush=True)
        answer = trace_service_pb2.ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
if len(sys.argv) == 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print("listening 127.0.0.1:%d" % server.server_address[1], flush=True)
server.serve_forever()
