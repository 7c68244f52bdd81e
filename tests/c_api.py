"""A SavedModel through TensorFlow's C API, in a process that never imports tensorflow.

    python tests/c_api.py LIBRARY MODEL REQUEST.json

The request: [{"feed": name, "fetch": [names], "strings": [base64] or "floats": [...], "shape":
[...]}]; the answer on stdout: [{"code": status code, "message": ..., "outputs": [[floats]]}].
"""

import base64
import ctypes
import json
import sys

FLOAT, INT32, STRING, TSTRING_BYTES = 1, 3, 7, 24


class Output(ctypes.Structure):
    """TF_Output."""

    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


class Library:
    """The few functions of the C API that loading and running need.

    Args:
      path: of libtensorflow_cc.so.2.
    """

    POINTERS = (
        *("NewStatus", "NewGraph", "NewSessionOptions", "LoadSessionFromSavedModel"),
        *("GraphOperationByName", "AllocateTensor", "TensorData"),
    )

    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        for name in self.POINTERS:
            self[name].restype = ctypes.c_void_p
        self["Message"].restype = ctypes.c_char_p
        self["TensorByteSize"].restype = ctypes.c_size_t
        self.status = ctypes.c_void_p(self["NewStatus"]())

    def __getitem__(self, name):
        return getattr(self.library, f"TF_{name}")

    def code(self):
        """(code, message) of the last call."""
        return self["GetCode"](self.status), self["Message"](self.status).decode(errors="replace")

    def load(self, model):
        """(session, graph) of the tag "serve", as the ModelServer loads it."""
        graph, options = (ctypes.c_void_p(self[n]()) for n in ("NewGraph", "NewSessionOptions"))
        tags = (ctypes.c_char_p * 1)(b"serve")
        call = self["LoadSessionFromSavedModel"]
        session = call(options, None, model.encode(), tags, 1, graph, None, self.status)
        if self.code()[0]:
            raise SystemExit(self.code()[1])
        return ctypes.c_void_p(session), graph

    def tensor(self, request):
        """A tensor of the request's floats or strings."""
        shape = (ctypes.c_int64 * len(request["shape"]))(*request["shape"])
        if "floats" in request:
            values = (ctypes.c_float * len(request["floats"]))(*request["floats"])
            kind, size = FLOAT, ctypes.sizeof(values)
        else:
            kind, size = STRING, TSTRING_BYTES * len(request["strings"])
        tensor = ctypes.c_void_p(self["AllocateTensor"](kind, shape, len(shape), size))
        data = self["TensorData"](tensor)
        if kind == FLOAT:
            ctypes.memmove(data, values, size)
        else:
            for index, text in enumerate(request["strings"]):
                place = ctypes.c_void_p(data + TSTRING_BYTES * index)
                content = base64.b64decode(text)
                self["StringInit"](place)
                self["StringCopy"](place, content, ctypes.c_size_t(len(content)))
        return tensor

    def operation(self, graph, name):
        """The TF_Output of "operation:index"."""
        operation, index = name.split(":")
        found = self["GraphOperationByName"](graph, operation.encode())
        return Output(found, int(index))

    def run(self, session, graph, request):
        """One request to its answer."""
        count = len(request["fetch"])
        feed = (Output * 1)(self.operation(graph, request["feed"]))
        fetch = (Output * count)(*(self.operation(graph, n) for n in request["fetch"]))
        values = (ctypes.c_void_p * 1)(self.tensor(request))
        results = (ctypes.c_void_p * count)()
        arguments = (feed, values, 1, fetch, results, count)
        self["SessionRun"](session, None, *arguments, None, 0, None, self.status)
        code, message = self.code()
        outputs = [] if code else [self.numbers(ctypes.c_void_p(t)) for t in results]
        return {"code": code, "message": message, "outputs": outputs}

    def numbers(self, tensor):
        """The values of a float or int32 tensor, flat."""
        kind = ctypes.c_float if self["TensorType"](tensor) == FLOAT else ctypes.c_int32
        count = self["TensorByteSize"](tensor) // 4
        return list((kind * count).from_address(self["TensorData"](tensor)))


def main():
    library = Library(sys.argv[1])
    session, graph = library.load(sys.argv[2])
    with open(sys.argv[3]) as file:
        requests = json.load(file)
    print(json.dumps([library.run(session, graph, request) for request in requests]))


if __name__ == "__main__":
    main()
