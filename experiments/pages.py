"""Write every table of the pages from the store, and draw every picture.

In a page `<!-- NAME -->` stands before a table whose rows a script's `tables` gives
under this name.

    python experiments/pages.py
"""

import re
import runpy
import sys
from collections import Counter
from importlib import import_module

import runs
from cells import markdown

PAGES = [
    runs.ROOT / "README.md",
    runs.ROOT / "README.zh-CN.md",
    runs.EXPERIMENTS / "README.md",
]
NO_SCRIPTS = ("cells", "pages", "runs")
FILES = sorted(runs.EXPERIMENTS.glob("*.py"))
SCRIPTS = [file.stem for file in FILES if file.stem not in NO_SCRIPTS]
HEAD = r"<!-- (?P<name>.+) -->\n\n\|.*\n\|-.*\n"
TABLE = re.compile(rf"^(?P<head>{HEAD})(?:\|.*\n)*", re.MULTILINE)


def store():
    """How many runs the store has of each device and version of torch."""
    found = runs.parse(runs.RUNS.read_bytes())
    made_with = Counter((run["device"], run["torch"]) for run in found)
    return [[*device_and_torch, count] for device_and_torch, count in made_with.items()]


def all_tables():
    """{name of a table: its rows}."""
    rows = {"store": store()}
    for script in map(import_module, SCRIPTS):
        rows.update(script.tables())
    return rows


def written():
    """{page: its text, every table written anew}; exits if a name stands alone."""
    rows = all_tables()
    texts = {page: page.read_text("utf-8") for page in PAGES}
    shown = {table["name"] for text in texts.values() for table in TABLE.finditer(text)}
    alone = shown ^ rows.keys()
    if alone:
        names = ", ".join(sorted(alone))
        sys.exit(f"These tables are in a page alone, or in a script alone: {names}")

    def anew(table):
        return table["head"] + markdown(rows[table["name"]])

    return {page: TABLE.sub(anew, text) for page, text in texts.items()}


def draw_all():
    """Draw the pictures of experiments/ and of figures/."""
    for script in map(import_module, SCRIPTS):
        if hasattr(script, "draw"):
            script.draw()
    figures = runs.ROOT / "figures"
    sys.path.append(str(figures))
    for file in sorted(figures.glob("*.py")):
        runpy.run_path(str(file), run_name="__main__")


if __name__ == "__main__":
    for page, text in written().items():
        page.write_text(text, encoding="utf-8")
    draw_all()
