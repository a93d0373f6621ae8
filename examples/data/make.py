#!/usr/bin/env python3
"""Rebuilds the data files of this folder from Debian packages (see NOTICE in the root for authors and licences).

    ./make.py                # apt-get download, unpack, convert; needs a Debian system with network
    ./make.py --debs FOLDER  # the .deb files lie there already
    ./make.py --check        # compare with the files here instead of writing
"""
import argparse
import gzip
import io
import pathlib
import struct
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = ["python3-sklearn", "golang-1.19-src", "python3-statsmodels"]
PYTHON = "usr/lib/python3/dist-packages/"


def packed(data: bytes) -> bytes:
    """gzip without name and time, so that the same data give the same bytes."""
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=out, mtime=0) as f:
        f.write(data)
    return out.getvalue()


def idx(data: bytes, *shape: int) -> bytes:
    """The IDX format of MNIST: 0, 0, type (8 = u8), number of dims, big-endian sizes, the elements."""
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape) + data


def digits(root: pathlib.Path) -> dict:
    rows = gzip.decompress((root / PYTHON / "sklearn/datasets/data/digits.csv.gz").read_bytes()).decode().split()
    numbers = [[int(float(v)) for v in row.split(",")] for row in rows]
    assert len(numbers) == 1797 and all(len(n) == 65 for n in numbers)
    assert all(0 <= v <= 16 for n in numbers for v in n[:64])
    pixels = bytes(v for n in numbers for v in n[:64])
    labels = bytes(n[64] for n in numbers)
    return {
        "digits-images-idx3-ubyte.gz": packed(idx(pixels, 1797, 8, 8)),
        "digits-labels-idx1-ubyte.gz": packed(idx(labels, 1797)),
    }


def opticks(root: pathlib.Path) -> dict:
    text = (root / "usr/share/go-1.19/src/testdata/Isaac.Newton-Opticks.txt").read_text(encoding="utf-8")
    start = text.index("OPTICKS:")  # before it stand the credit lines of those who typed it
    note = text.index("Transcriber's Note")  # also theirs, up to the next rule
    rule = text.index("       *       *", note)
    return {"opticks.txt.gz": packed((text[start:note] + text[text.index("\n", rule) + 2 :]).encode("utf-8"))}


def sunspots(root: pathlib.Path) -> dict:
    lines = (root / PYTHON / "statsmodels/datasets/sunspots/sunspots.csv").read_text().split()
    assert lines[0] == '"YEAR","SUNACTIVITY"' and len(lines) == 310
    return {"sunspots.csv": "\n".join(["year,sunspots"] + lines[1:]).encode() + b"\n"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--debs", type=pathlib.Path)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = pathlib.Path(temporary)
        debs = args.debs or root
        if not args.debs:
            subprocess.run(["apt-get", "download", *PACKAGES], cwd=root, check=True)
        for package in PACKAGES:
            deb = next(debs.glob(package + "_*.deb"))
            subprocess.run(["dpkg-deb", "-x", deb, root], check=True)
        files = {**digits(root), **opticks(root), **sunspots(root)}
    status = 0
    for name, data in files.items():
        if not args.check:
            (HERE / name).write_bytes(data)
            print(f"{name}: {len(data)} bytes")
            continue
        unpack = gzip.decompress if name.endswith(".gz") else bytes  # zlib versions may pack differently
        same = (HERE / name).exists() and unpack((HERE / name).read_bytes()) == unpack(data)
        print(f"{name}: {'equal' if same else 'DIFFERENT'}")
        status |= not same
    return status


if __name__ == "__main__":
    sys.exit(main())
