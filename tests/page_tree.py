"""A page as a tree, read by Python's own parser, and films to put on one."""

import io
from html.parser import HTMLParser

import numpy as np
from PIL import Image

from harness.report.film import Film

VOID = {"meta", "link", "img", "input", "br"}


class Node:
    def __init__(self, tag, attrs):
        self.tag, self.attrs, self.children = tag, dict(attrs), []

    def walk(self):
        yield self
        for child in self.children:
            if isinstance(child, Node):
                yield from child.walk()

    def all(self, tag, **attrs):
        """Return what has a tag and attributes; ``cls`` is one of its classes."""
        wanted = attrs.pop("cls", None)
        return [
            node
            for node in self.walk()
            if node.tag == tag
            and (wanted is None or wanted in (node.attrs.get("class") or "").split())
            and all(node.attrs.get(name) == value for name, value in attrs.items())
        ]

    def one(self, tag, **attrs):
        (found,) = self.all(tag, **attrs)
        return found

    @property
    def text(self):
        parts = (child.text if isinstance(child, Node) else child for child in self.children)
        return "".join(parts)

    @property
    def words(self):
        return " ".join(self.text.split())


class Tree(HTMLParser):
    """Builds nodes, and refuses tags that do not match."""

    def __init__(self):
        super().__init__()
        self.root = Node("", {})
        self.open = [self.root]
        self.comments = []

    def handle_starttag(self, tag, attrs):
        node = Node(tag, attrs)
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag, attrs):
        self.open[-1].children.append(Node(tag, attrs))

    def handle_endtag(self, tag):
        assert self.open.pop().tag == tag, f"{self.getpos()}: </{tag}>"

    def handle_data(self, data):
        self.open[-1].children.append(data)

    def handle_comment(self, data):
        self.comments.append(data)


def tree(text):
    parser = Tree()
    parser.feed(text)
    parser.close()
    assert parser.open == [parser.root]
    assert parser.comments == []
    return parser.root


def section(page, heading):
    """Return the section below a heading; None where there is none."""
    found = [s for s in page.all("section") if s.one("h2").words == heading]
    return found[0] if found else None


def cells(table):
    """Return every row of a table as texts, the heading first."""
    rows = table.all("tr")
    return [[c.words for c in row.walk() if c.tag in {"td", "th"}] for row in rows]


def png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def film_of(arms=("raw", "paper", "short"), kimg=(20.0, 40.0, 100.0), columns=6, rows=2, px=8):
    """A film whose frames tell arm and time: brighter with each frame, striped by arm."""
    frames = len(kimg)
    pictures = {}
    for place, arm in enumerate(arms):
        array = np.zeros((frames * rows * px, columns * px, 3), np.uint8)
        for frame in range(frames):
            part = array[frame * rows * px : (frame + 1) * rows * px]
            part[:] = 60 + 60 * frame
            part[:, place :: len(arms) + 1, place % 3] = 255
        pictures[arm] = png(array)
    pictures["real"] = png(np.full((rows * px, columns * px, 3), 200, np.uint8))
    return Film("-", 0, tuple(arms), tuple(kimg), columns, rows, px, pictures)


def noisy_film(count, kimg=(20.0, 100.0), columns=32, rows=16, px=8):
    """A film whose files are as large as random pixels."""
    random = np.random.default_rng(0)
    arms = ("raw", *(f"s{number}" for number in range(count - 1)))
    size = (len(kimg) * rows * px, columns * px, 3)
    pictures = {arm: png(random.integers(0, 256, size, np.uint8)) for arm in arms}
    pictures["real"] = png(random.integers(0, 256, (rows * px, columns * px, 3), np.uint8))
    return Film("-", 0, arms, tuple(kimg), columns, rows, px, pictures)
