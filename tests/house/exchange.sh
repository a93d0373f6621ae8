#!/usr/bin/env bash
# Files exchanged with NumPy and others: exchange.py PROGRAM, by the Python that has NumPy. Ends with 77 where there is none.
python=$(command -v python3) || { echo "exchange: skipped, no python3; install python3-numpy"; exit 77; }
exec "$python" "$(dirname "$0")/exchange.py" "$@"
