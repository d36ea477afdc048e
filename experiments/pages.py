"""Write every table of the pages from the store, and draw every picture.

In a page `<!-- NAME -->` stands before a table whose rows a script's `tables` gives
under this name.

    python experiments/pages.py
"""

import re
import runpy
import sys
from importlib import import_module

import runs

PAGES = [runs.ROOT / "README.md", runs.EXPERIMENTS / "README.md"]
FILES = sorted(runs.EXPERIMENTS.glob("*.py"))
SCRIPTS = [file.stem for file in FILES if file.stem not in ("cells", "pages", "runs")]
TABLE = re.compile(r"^(<!-- (.+) -->\n\n\|.*\n\|-.*\n)((?:\|.*\n)*)", re.MULTILINE)


def written():
    """{page: its text, every table written anew}; the end if a name stands alone."""
    rows, texts = {}, {page: page.read_text("utf-8") for page in PAGES}
    for script in map(import_module, SCRIPTS):
        rows.update(script.tables())
    names = {name for text in texts.values() for _, name, _ in TABLE.findall(text)}
    if names ^ rows.keys():
        sys.exit(f"In a page alone, or in a script: {', '.join(names ^ rows.keys())}")
    new = lambda table: table[1] + runs.markdown(rows[table[2]])
    return {page: TABLE.sub(new, text) for page, text in texts.items()}


if __name__ == "__main__":
    for page, text in written().items():
        page.write_text(text, encoding="utf-8")
    for script in map(import_module, SCRIPTS):
        getattr(script, "draw", dict)()
    sys.path.append(str(runs.ROOT / "figures"))
    for file in sorted((runs.ROOT / "figures").glob("*.py")):
        runpy.run_path(str(file), run_name="__main__")
