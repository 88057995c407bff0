#!/usr/bin/env bash
# After `import tensorflow`, Python's sqlite3 runs on TensorFlow's own SQLite, which has no full-text search.
#
# Versions: tensorflow-cpu 2.21.0 from public wheels, Python 3.11.7 with SQLite 3.40.1 of Debian 12.
# Behaviour: libtensorflow_cc.so.2 exports the symbols of the SQLite 3.50.3 that is linked into it, and is loaded for
#   all to see. A sqlite3 module that is imported later and is linked to a shared libsqlite3 calls TensorFlow's. That
#   one is built without FTS5. Imported before TensorFlow, sqlite3 keeps the system's, also afterwards.
# Output seen:
#   sqlite3 first: SQLite 3.40.1, FTS5 True
#   tensorflow first: SQLite 3.50.3, FTS5 False
# Exits with 1 where that is no longer so.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/ask.py" <<'PROGRAM'
import importlib
import sys

for name in sys.argv[1:]:
    importlib.import_module(name)
import sqlite3

try:
    sqlite3.connect(":memory:").execute("CREATE VIRTUAL TABLE t USING fts5(x)")
    has_fts5 = True
except sqlite3.OperationalError:
    has_fts5 = False
print(f"{sys.argv[1]} first: SQLite {sqlite3.sqlite_version}, FTS5 {has_fts5}")
sys.exit(has_fts5 != (sys.argv[1] == "sqlite3"))
PROGRAM
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install -q --disable-pip-version-check "tensorflow-cpu==2.21.0"
"$folder/env/bin/python" -W ignore "$folder/ask.py" sqlite3 tensorflow 2> "$folder/log" || { cat "$folder/log"; exit 1; }
"$folder/env/bin/python" -W ignore "$folder/ask.py" tensorflow 2> "$folder/log" || { cat "$folder/log"; exit 1; }
