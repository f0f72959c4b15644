"""Text from outside that would be HTML, a link, a table's end or a command in a report."""

import json
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from records_world import world
from report_records import plan_of, record

from harness.cli import main
from harness.report import figures, frames, provenance
from harness.report.text import markdown_blocks
from harness.report.wording import prose

HOSTILE = (
    *(
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<!-- results:a/b -->",
        "</details>",
    ),
    *(
        "[free](http://x.example)",
        "![x](http://x.example/y.png)",
        "http://x.example",
        "www.x.example",
    ),
    *(
        "a | b | c",
        "`code` ``",
        "# heading",
        "**bold** _it_",
        "<http://x.example>",
        "[x]: http://y",
    ),
    *(
        "a\n\n# heading\n\n| a |\n|--|\n",
        "```\nfence\n```",
        "\\<b>\\",
        "\\[a](b)",
        "~~gone~~",
        "$x$",
    ),
)


class Tags(HTMLParser):
    """Collects every tag and comment of a page, entities left as they are."""

    def __init__(self):
        super().__init__(convert_charrefs=False)
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)

    def handle_comment(self, data):
        self.found.append(data)


def active(markdown):
    """Return what would be more than text in a line of Markdown."""
    tags = Tags()
    tags.feed(markdown)
    bare = re.sub(r"\\[\\`*_\[\]|#~$/.]", "", markdown)
    return [*tags.found, *re.findall(r"[`*_\[\]|#~$<>]|://|www\.", bare)]


@pytest.mark.parametrize("text", HOSTILE)
def test_prose_is_one_line_of_text(text, ledger):
    shown, found = prose(text), active(prose(text))
    word = "shown as text" if not found and "\n" not in shown else f"WRONG: {found}"
    case = f"text of a question: {' '.join(text.split())}"
    fields = {"kind": "report", "case": case, "found_by": "by hand", "message": shown}
    ledger.add("inputs", **fields, answer=word)
    assert active(text.replace("\n", " "))
    assert not found
    assert "\n" not in shown


@pytest.fixture
def reported(tmp_path, monkeypatch):
    """Return a function that reports with one question and machine, and returns the report."""
    monkeypatch.setattr(figures, "DRAWINGS", {})
    world(tmp_path)

    def report(text, capsys):
        spec = tmp_path / "demo.yaml"
        lines = spec.read_text().splitlines()
        lines[0] = f"question: {json.dumps(text)}"
        spec.write_text("\n".join(lines))
        for path in (tmp_path / "runs").rglob("machine.json"):
            machine = json.loads(path.read_text())
            path.write_text(json.dumps({**machine, "cpu": text, "libraries": {text: text}}))
        for path in (tmp_path / "runs").rglob("seed1-*/outcome.json"):
            ended = json.loads(path.read_text())
            path.write_text(json.dumps({**ended, "status": "failed", "reason": text}))
        folders = ["--runs", tmp_path / "runs", "--results", tmp_path / "results"]
        assert main([*map(str, ("report", spec, *folders))]) in (0, 1), capsys.readouterr().err
        return (tmp_path / "results/demo/quick/report.md").read_text()

    return report


@pytest.mark.parametrize("text", HOSTILE)
def test_a_report_holds_no_markup_from_outside(text, reported, ledger, whole, capsys):
    if not whole and text not in HOSTILE[:5]:
        pytest.skip("a few of a sample")
    page, plain = reported(text, capsys), reported("plain", capsys)
    tags, usual = Tags(), Tags()
    tags.feed(page)
    usual.feed(plain)
    cells = [
        [line.count("|") - line.count("\\|") for line in p.splitlines()] for p in (page, plain)
    ]
    held = tags.found == usual.found and cells[0] == cells[1] and "](http://" not in page
    fields = {"kind": "report", "found_by": "by hand", "message": ""}
    case = f"question, machine and reason: {' '.join(text.split())}"
    ledger.add("inputs", **fields, case=case, answer="shown as text" if held else "WRONG: markup")
    assert tags.found == usual.found
    assert cells[0] == cells[1]
    assert "](http://" not in page


@pytest.mark.parametrize("name", ["x; touch canary", "$(touch canary)", "`touch canary`", "<b>"])
def test_the_command_of_a_report_runs_nothing_else(name, tmp_path):
    plan = replace(plan_of(seeds=(0,)), experiment=name, overrides=(f"data.root={name}",))
    blocks = provenance.reproduce(frames.collect(plan, record(plan, tmp_path)))
    text = markdown_blocks(blocks)
    command = text.splitlines()[1]
    spec = f"experiments/{name}.yaml"
    expected = ["harness", "run", spec, "--tier", "quick", f"data.root={name}"]
    assert shlex.split(command) == expected
