"""`imports.py MODULE...` imports modules, and prints as JSON why some of them can't be imported."""

import importlib
import json
import sys

failed = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ImportError as error:
        failed[name] = str(error)
print(json.dumps(failed))
