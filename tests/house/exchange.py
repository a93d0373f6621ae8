#!/usr/bin/env python3
"""Exchanges files with NumPy, safetensors and PyTorch, both ways; compares printing with PyTorch's.

Usage: exchange.py PROGRAM (tests/house/exchange.cpp). Exit code 77: NumPy is missing. Packages beyond it are used if present.
"""
import importlib
import json
import os
import subprocess
import sys
import tempfile

SYSTEM = "/usr/bin/python3"  # where a distribution's NumPy is, if another Python comes first
try:
    import numpy as np
except ImportError:
    if os.path.exists(SYSTEM) and os.path.realpath(sys.executable) != os.path.realpath(SYSTEM):
        os.execv(SYSTEM, [SYSTEM] + sys.argv)
    print("exchange: skipped, no NumPy; install python3-numpy (python3-torch, safetensors)")
    sys.exit(77)


def module(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"exchange: no {name}, its part is skipped")
        return None


PROGRAM = os.path.abspath(sys.argv[1])
DTYPES = ["f4", "f8", "f2", "c8", "c16", "i8", "i4", "u1", "b1"]
FORMAT = {"f4": "F32", "f8": "F64", "f2": "F16", "c8": "C64", "i8": "I64", "i4": "I32", "u1": "U8", "b1": "BOOL"}


def run(*args):
    return subprocess.run([PROGRAM, *map(str, args)], check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout


def samples():
    """Arrays of every dtype and shape: 0-dim, empty, Fortran order, strided."""
    for code in DTYPES:
        x = (np.arange(24).reshape(2, 3, 4) - 7).astype(code)
        if x.dtype.kind in "fc":
            x = x / x.dtype.type(3)
        if x.dtype.kind == "c":
            x = x * x.dtype.type(1 - 2j)
        yield code, x
        yield code + "_scalar", x[1, 2, 3]
        yield code + "_empty", x[:, :0]
        yield code + "_fortran", np.asfortranarray(x)
        yield code + "_strided", x[:, ::-1, ::2].transpose(2, 0, 1)


def same(got, want, what):
    want = np.asarray(want)
    native = want.astype(want.dtype.newbyteorder("="))
    assert got.dtype == native.dtype and got.shape == want.shape, f"{what}: {got.dtype} {got.shape} for {want.dtype} {want.shape}"
    assert got.tobytes() == native.tobytes(), f"{what}: other elements"


def safetensors_bytes(arrays):
    """A writer of its own, after the format's description."""
    header, data = {"__metadata__": {"by": "exchange.py"}}, b""
    for name, x in arrays.items():
        raw = np.ascontiguousarray(x).tobytes()
        header[name] = {"dtype": FORMAT[name.split("_")[0]], "shape": list(np.shape(x)), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def read_safetensors(path):
    raw = open(path, "rb").read()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    assert header.pop("__metadata__") == {"writer": "inkstone"}
    codes = {v: k for k, v in FORMAT.items()}
    codes["BF16"] = "u2"
    return {
        name: np.frombuffer(raw[8 + length :][e["data_offsets"][0] : e["data_offsets"][1]], codes[e["dtype"]]).reshape(e["shape"])
        for name, e in header.items()
    }


def exchange_npy(folder):
    jobs, wanted = [], []
    for name, x in samples():
        for version in [(1, 0), (2, 0), (3, 0)]:
            for order in "<>":
                y = np.asarray(x, order="K")
                y = y.astype(y.dtype.newbyteorder(order), order="K")
                source = f"{folder}/{name}_{version[0]}{'le' if order == '<' else 'be'}.npy"
                with open(source, "wb") as f:
                    np.lib.format.write_array(f, y, version=version)
                jobs += [source, source[:-4] + "_back.npy"]
                wanted.append((jobs[-1], y))
    run("copy", *jobs)
    for path, x in wanted:
        same(np.load(path, allow_pickle=False), x, path)
    return len(wanted)


def exchange_npz(folder):
    arrays = dict(samples())
    for save in (np.savez, np.savez_compressed):
        save(f"{folder}/a.npz", **arrays)
        run("copy", f"{folder}/a.npz", f"{folder}/b.npz")
        with np.load(f"{folder}/b.npz", allow_pickle=False) as back:
            assert list(back) == list(arrays)
            for name in back:
                same(back[name], arrays[name], name)
    return 2 * len(arrays)


def exchange_safetensors(folder):
    arrays = {name: x for name, x in samples() if not name.startswith("c16")}
    with open(f"{folder}/a.safetensors", "wb") as f:
        f.write(safetensors_bytes(arrays))
    run("copy", f"{folder}/a.safetensors", f"{folder}/b.safetensors", f"{folder}/a.safetensors", f"{folder}/c.npz")
    for back in (read_safetensors(f"{folder}/b.safetensors"), np.load(f"{folder}/c.npz", allow_pickle=False)):
        assert set(back) == set(arrays)
        for name in arrays:
            same(back[name], arrays[name], name)
    if reference := module("safetensors.numpy"):
        known = {n: np.ascontiguousarray(x).reshape(np.shape(x)) for n, x in arrays.items() if not n.startswith("c8")}
        reference.save_file(known, f"{folder}/d.safetensors")
        run("copy", f"{folder}/d.safetensors", f"{folder}/e.safetensors")
        back = reference.load_file(f"{folder}/e.safetensors")
        for name in known:
            same(back[name], known[name], name)
    return len(arrays)


def exchange_torch(folder, torch):
    """bf16, which NumPy does not have: as safetensors where that package is, else through its bytes."""
    x = torch.randn(3, 5).to(torch.bfloat16)
    bits = x.view(torch.int16).numpy()
    raw = bits.tobytes()
    header = json.dumps({"x": {"dtype": "BF16", "shape": [3, 5], "data_offsets": [0, len(raw)]}}).encode()
    with open(f"{folder}/t.safetensors", "wb") as f:
        f.write(len(header).to_bytes(8, "little") + header + raw)
    run("copy", f"{folder}/t.safetensors", f"{folder}/u.safetensors")
    back = read_safetensors(f"{folder}/u.safetensors")["x"].view(np.int16)
    assert torch.equal(torch.from_numpy(back.copy()).view(torch.bfloat16), x)
    if reference := module("safetensors.torch"):
        assert torch.equal(reference.load_file(f"{folder}/u.safetensors")["x"], x)
    return 1


def compare_printing(folder, torch):
    rng = np.random.default_rng(0)
    arrays = dict(samples())
    for i in range(60):
        shape = [(5,), (30,), (1001,), (4, 7), (3, 40), (2, 3, 5), (20, 60), (8, 9, 20), (2, 1, 3, 2), ()][i % 10]
        x = rng.normal(size=shape) * 10.0 ** rng.integers(-6, 10) ** (i % 3 > 0)
        if i % 4 == 1:
            x = np.round(x)
        if i % 5 == 2:
            x = np.where(rng.random(shape) < 0.2, rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0]), x)
        with np.errstate(all="ignore"):
            arrays[f"random{i}"] = np.nan_to_num(x).astype("i8") if i % 6 == 5 else x.astype(["f4", "f8", "f2", "c8", "f4"][i % 5])
    np.savez(f"{folder}/p.npz", **arrays)
    names = {"float64": "f64", "float16": "f16", "complex128": "c128", "complex64": "c64", "int32": "i32", "int64": "i64", "uint8": "u8", "bool": "bool"}
    for precision in (4, 7):
        torch.set_printoptions(precision=precision)
        want = ""
        for name, x in arrays.items():
            text = str(torch.from_numpy(np.array(x)))
            for theirs, ours in names.items():
                text = text.replace(f"dtype=torch.{theirs})", f"dtype={ours})")
            head, size, tail = text.partition("size=(")
            want += name + "\n" + (head + "size=[" + tail.replace(")", "]", 1) if size else text) + "\n"
        got = run("print", f"{folder}/p.npz", precision)
        # Our dtype names are shorter, so the last line may break in another place.
        got, want = (t.replace(",\n       dtype=", ", dtype=") for t in (got, want))
        for a, b in zip(got.split("\n"), want.split("\n")):
            assert a == b, f"printed:\n{a}\nexpected:\n{b}"
        assert got == want
    return 2 * len(arrays)


with tempfile.TemporaryDirectory() as folder:
    print("npy files:", exchange_npy(folder))
    print("npz arrays:", exchange_npz(folder))
    print("safetensors arrays:", exchange_safetensors(folder))
    if torch := module("torch"):
        print("bf16 with torch:", exchange_torch(folder, torch))
        print("printed as torch prints:", compare_printing(folder, torch))
