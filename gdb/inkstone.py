"""Pretty-printers of Inkstone's types for gdb: `source gdb/inkstone.py`, then `print x` shows a tensor's numbers.

Everything is read from memory; no function of the program is called, so it also works on a core dump. What cannot be read,
because a variable is not set yet or was optimised away, is said in words: a printer never fails, nor does a backtrace.
`rule FILE:LINE` sets a breakpoint in the gradient rule that stands on a line.
"""
import functools
import struct

import gdb
import gdb.printing

DTYPES = ["f32", "f64", "f16", "bf16", "c64", "c128", "i64", "i32", "u8", "bool"]
SIZES = [4, 8, 2, 2, 8, 16, 8, 4, 1, 1]
FORMATS = {"f32": "f", "f64": "d", "f16": "e", "c64": "ff", "c128": "dd", "i64": "q", "i32": "i", "u8": "B", "bool": "?"}
MAX_DIMS = 8  # of a shape
SHOWN = 8  # elements per dim; of longer ones the first and the last half


def sizes(shape):
    """The numbers in an ink::Shape."""
    if not 0 <= int(shape["n_"]) <= MAX_DIMS:
        raise ValueError("%d dims" % int(shape["n_"]))
    return [int(shape["d_"][i]) for i in range(int(shape["n_"]))]


def decode(dtype, raw):
    if dtype == "bf16":  # the upper half of a float
        return struct.unpack("<f", b"\0\0" + raw)[0]
    values = struct.unpack("<" + FORMATS[dtype], raw)
    return complex(*values) if len(values) == 2 else values[0]


def number(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, complex):
        return "%.4g%+.4gi" % (value.real, value.imag)
    return "%.4g" % value if isinstance(value, float) else str(value)


def indices(size):
    """The indices shown of one dim; None stands for those left out."""
    if size <= SHOWN:
        return list(range(size))
    return list(range(SHOWN // 2)) + [None] + list(range(size - SHOWN // 2, size))


def device_name(device):
    return "cpu" if int(device["type"]) == 0 else "cuda:%d" % int(device["index"])


def as_type(name, pointer):
    return pointer.cast(gdb.lookup_type(name).pointer())


def careful(printer):
    """Lets to_string say that there is nothing to show instead of raising."""
    show = printer.to_string

    @functools.wraps(show)
    def to_string(self):
        try:
            return show(self)
        except (gdb.error, LookupError, ValueError, ArithmeticError, struct.error) as why:
            return "%s that cannot be read (%s)" % (printer.__name__.replace("Printer", ""), why)

    printer.to_string = to_string
    return printer


class ShapePrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return "[%s]" % ", ".join(map(str, sizes(self.value)))


class TensorPrinter:
    """Tensor f32 [2, 3] = [[1, 2, 3], [4, 5, 6]]"""

    def __init__(self, value):
        self.value = value

    def elements(self, impl, shape, strides, dtype):
        size = SIZES[DTYPES.index(dtype)]
        start = int(impl["storage"]["p_"]["data"]) + int(impl["offset"]) * size
        memory = gdb.selected_inferior()

        def text(dim, address):
            if dim == len(shape):
                return number(decode(dtype, bytes(memory.read_memory(address, size))))
            parts = ["..." if i is None else text(dim + 1, address + i * strides[dim] * size) for i in indices(shape[dim])]
            return "[%s]" % ", ".join(parts)

        return text(0, start)

    def origin(self, graph):
        try:
            creator = as_type("ink::Vertex", graph)["creator"]["p_"]
        except gdb.error:  # this file of the program knows no vertices
            return " requires_grad"
        return " by " + op_name(creator) if int(creator) != 0 else " leaf requires_grad"

    def to_string(self):
        self.impl = self.value["impl_"]["p_"]
        if int(self.impl) == 0:
            return "Tensor undefined"
        impl = self.impl.dereference()
        shape, strides = sizes(impl["shape"]), sizes(impl["strides"])
        dtype = DTYPES[int(impl["dtype"])]
        device = device_name(impl["storage"]["p_"]["device"])
        out = "Tensor %s [%s]" % (dtype, ", ".join(map(str, shape)))
        if device != "cpu":
            out += " " + device
        if not impl["contiguous"]:
            out += " strides [%s]" % ", ".join(map(str, strides))
        graph = impl["graph"]["p_"]
        if int(graph) != 0:
            out += self.origin(graph)
        if 0 in shape:
            return out
        try:
            return out + " = " + self.elements(impl, shape, strides, dtype)
        except gdb.MemoryError:
            return out + " (elements are on the device)"


def op_name(node):
    return node["op"]["name"].string()


def vector(value):
    """The elements of a std::vector of libstdc++."""
    at, end = value["_M_impl"]["_M_start"], value["_M_impl"]["_M_finish"]
    while at != end:
        yield at.dereference()
        at += 1


class NodePrinter:
    """Node matmul(f32 [2, 3] by relu, f32 [3, 4] leaf, -), saved 2"""

    def __init__(self, value):
        self.value = value

    def input(self, ref):
        vertex = ref["p_"]
        if int(vertex) == 0:
            return "-"
        creator = vertex["creator"]["p_"]
        origin = "by " + op_name(creator) if int(creator) != 0 else "leaf"
        return "%s [%s] %s" % (DTYPES[int(vertex["dtype"])], ", ".join(map(str, sizes(vertex["shape"]))), origin)

    def to_string(self):
        inputs = ", ".join(self.input(v) for v in vector(self.value["inputs"]))
        released = ", released" if self.value["released"] else ""
        return "Node %s(%s), saved %d%s" % (op_name(self.value), inputs, sum(1 for _ in vector(self.value["saved"])), released)


class BitsPrinter:
    """half and bfloat16 as numbers."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        dtype = "f16" if self.value.type.strip_typedefs().name == "ink::half" else "bf16"
        return number(decode(dtype, struct.pack("<H", int(self.value["bits"]))))


class DTypePrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        i = int(self.value)
        return DTYPES[i] if 0 <= i < len(DTYPES) else "DType(%d)" % i


class DevicePrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return device_name(self.value)


class ComplexPrinter:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return number(complex(float(self.value["re"]), float(self.value["im"])))


def lanes(vector):
    """The numbers of a GCC vector, or of a single lane."""
    kind = vector.type.strip_typedefs()
    if kind.code != gdb.TYPE_CODE_ARRAY:
        return [vector]
    low, high = kind.range()
    return [vector[i] for i in range(low, high + 1)]


class PackPrinter:
    """Pack {1, 2, 3, 4}"""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        values = lanes(self.value["v"])
        real = values[0].type.strip_typedefs().code == gdb.TYPE_CODE_FLT
        return "Pack {%s}" % ", ".join(number(float(v) if real else int(v)) for v in values)


class MaskPrinter:
    """Mask {true, false}"""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        return "Mask {%s}" % ", ".join(number(int(v) != 0) for v in lanes(self.value["v"]))


class SpanPrinter:
    """std::span of length 2 = {1, 2}, as newer versions of libstdc++ print it"""

    def __init__(self, value):
        self.value = value

    def length(self):
        extent = int(self.value.type.strip_typedefs().template_argument(1))
        fixed = extent != 2 ** 64 - 1 and extent != -1
        return extent if fixed else int(self.value["_M_extent"]["_M_extent_value"])

    def to_string(self):
        return "std::span of length %d" % self.length()

    def children(self):
        try:
            n, at = self.length(), self.value["_M_ptr"]
        except gdb.error:
            return
        for i in range(min(n, 200)):
            yield "[%d]" % i, (at + i).dereference()

    def display_hint(self):
        return "array"


class RuleBreakpoint(gdb.Breakpoint):
    """Stops inside a gradient rule only, not where the op that has it runs forward."""

    def stop(self):
        return "operator()" in (gdb.newest_frame().name() or "")


class Rule(gdb.Command):
    """rule FILE:LINE - a breakpoint in the gradient rule on that line. The op may stand on the same line; `break` would stop there too."""

    def __init__(self):
        super().__init__("rule", gdb.COMMAND_BREAKPOINTS, gdb.COMPLETE_LOCATION)

    def invoke(self, argument, from_tty):
        RuleBreakpoint(argument)


def register():
    printers = gdb.printing.RegexpCollectionPrettyPrinter("inkstone")
    for pattern, printer in {
        "^ink::(Shape|Dims)$": ShapePrinter,
        "^ink::(Tensor|Owned|Param|Buffer)$": TensorPrinter,
        "^ink::Node$": NodePrinter,
        "^ink::(half|bfloat16)$": BitsPrinter,
        "^ink::DType$": DTypePrinter,
        "^ink::Device$": DevicePrinter,
        "^ink::complex<.*>$": ComplexPrinter,
        "^ink::[a-z0-9_]+::Pack<.*>$": PackPrinter,
        "^ink::[a-z0-9_]+::Mask<.*>$": MaskPrinter,
        "^std::span<.*>$": SpanPrinter,
    }.items():
        printers.add_printer(pattern, pattern, careful(printer))
    gdb.printing.register_pretty_printer(None, printers, replace=True)


register()
Rule()
# A breakpoint may stand in a library that the program opens later, as the simulator of CUDA devices is.
gdb.execute("set breakpoint pending on")
