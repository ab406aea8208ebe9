"""Decoding alone, the floor of all: unpack every staged answer and decode it, `python decode.py PAGES`."""

import gzip
import sys
from pathlib import Path

import orjson

for page in sorted(Path(sys.argv[1]).iterdir()):
    orjson.loads(gzip.decompress(page.read_bytes()))
