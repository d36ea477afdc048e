"""Write every table of the pages from the store, and draw every picture.

In a page `<!-- NAME -->` stands before the table whose rows a script's `tables` or
`readme` gives under this name.

    python experiments/pages.py
"""

import re
import runpy
import sys
from importlib import import_module

import runs

PAGES = [runs.ROOT / "README.md", runs.EXPERIMENTS / "README.md"]
FILES = sorted(runs.EXPERIMENTS.glob("*.py"))
SCRIPTS = [file.stem for file in FILES if file.stem not in ("runs", "pages")]


def tables():
    """{name: table, as the pages have it} of every script."""
    found = {}
    for script in map(import_module, SCRIPTS):
        found.update(script.tables())
        found.update(getattr(script, "readme", dict)())
    return {name: runs.markdown(rows) for name, rows in found.items()}


def written():
    """{page: its text with every table written anew}; the end if one has no place."""
    found, texts = tables(), {}
    for page in PAGES:
        parts = page.read_text("utf-8").split("<!-- ")
        for i, part in enumerate(parts[1:], start=1):
            name = part.partition(" -->")[0]
            head = re.match(r".*\n\n.*\n\|-.*\n", part)[0]
            rest = re.sub(r"^(\|.*\n)+", "", part[len(head) :])
            parts[i] = head + found.pop(name) + rest
        texts[page] = "<!-- ".join(parts)
    if found:
        sys.exit(f"No page has a place for {', '.join(found)}: see {__file__}")
    return texts


if __name__ == "__main__":
    for page, text in written().items():
        page.write_text(text, encoding="utf-8")
    for script in map(import_module, SCRIPTS):
        if hasattr(script, "draw"):
            script.draw()
    for file in sorted((runs.ROOT / "figures").glob("*.py")):
        runpy.run_path(str(file), run_name="__main__")
