"""Specs that cannot be meant, as files and as overrides: each is one line, and nothing is made."""

import os
import socket

import pytest
from bad_input import hold, refused
from rich_specs import GROWING, SPECS
from small_spec import TEXT, write

pytestmark = pytest.mark.timeout(20)  # a pipe or an endless device would be waited for

TEXTS = {
    "empty": b"",
    "only a comment": b"# nothing\n",
    "a list": b"- question: x\n",
    "a word": b"question\n",
    "a number": b"3\n",
    "null": b"~\n",
    "NUL bytes": b"question: \x00\x00\n",
    "only NUL bytes": b"\x00" * 4096,
    "escape codes": b"question: \x1b[31mred\n",
    "UTF-8 with a byte order mark and junk": b"\xef\xbb\xbf[[",
    "UTF-16": TEXT.encode("utf-16"),
    "UTF-32": TEXT.encode("utf-32"),
    "Latin-1": TEXT.replace("best", "b\xe9st").encode("latin-1"),
    "overlong UTF-8": b"question: \xc0\xaf\n",
    "a surrogate in UTF-8": b"question: \xed\xa0\x80\n",
    "a lone surrogate, escaped": b'question: "\\ud800"\n' + TEXT.encode().split(b"\n", 1)[1],
    "a PNG": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "a pickle": b"\x80\x04\x95\x1e\x00\x00\x00cos\nsystem\n",
    "a tab as indentation": TEXT.replace("  type: PGGAN", "\ttype: PGGAN").encode(),
    "brackets 10,000 deep": b"a: " + b"[" * 10_000,
    "braces 10,000 deep": b"a: " + b"{a: " * 10_000,
    "dashes 10,000 deep": b"- " * 10_000,
    "closed brackets 10,000 deep": b"a: " + b"[" * 10_000 + b"]" * 10_000,
    "junk of 5 MB": b"question: " + b"x" * 5_000_000,
    "names of 40,000 characters": b"k" * 40_000 + b": 1\n",
    "a value of 40,000 characters": b"question: [" + b"v" * 40_000 + b"]\n",
    "10,000 unknown fields": b"".join(b"f%d: 1\n" % i for i in range(4_000)),
    "two documents": TEXT.encode() + b"---\n" + TEXT.encode(),
    "a field twice": TEXT.encode() + b"seeds: [3]\n",
    "a field twice, deep": TEXT.replace("  kimg: 0.6", "  kimg: 0.6\n  kimg: 6").encode(),
    "a list as a name": b"? [a, b]\n: 1\n",
    "a mapping as a name": b"? {a: b}\n: 1\n",
    "an unclosed quote": b'question: "Which\n',
    "an unknown escape": b'question: "\\q"\n',
    "a version of YAML to come": b"%YAML 9.1\n---\nquestion: x\n",
    "an unknown directive": b"%TAG ! tag:x,2000:\n---\nquestion: !x y\n",
    "a merge key": b"a: {b: 1}\n<<: {c: 2}\n",
    "aliases that multiply": b"a: &a [x, x]\n"
    + b"".join(b"%c: &%c [*%c, *%c]\n" % (i + 1, i + 1, i, i) for i in range(97, 121)),
    "an alias of itself": b"a: &a [*a]\n",
    "an alias of nothing": b"question: *nothing\n",
}
TAGS = (
    *("!!python/object/apply:os.system [touch canary]", "!!python/name:os.system"),
    *("!!python/object/new:os.system [touch canary]", "!!python/module:os", "!!binary aGk="),
    *("!!timestamp 2020-01-01", "!!set {a}", "!!omap [a: 1]", "!custom x", "!!int x"),
    "!!python/object/apply:pathlib.Path.touch [canary]",
)
CHANGES = {  # of a valid spec: what is there, what takes its place, what the message names
    "an infinite number": ("kimg: 0.6", "kimg: .inf", "train.kimg"),
    "not a number": ("kimg: 0.6", "kimg: .nan", "train.kimg"),
    "a number that overflows": ("kimg: 0.6", "kimg: 1e999", "train.kimg"),
    "a whole number of 400 digits": ("size: 20", "size: 1" + "0" * 400, "train.batch_size"),
    "a whole number of 5,000 digits": ("size: 20", "size: 1" + "0" * 5000, "FOLDER"),
    "a number of 5,000 digits after the point": ("kimg: 0.6", "kimg: -0." + "1" * 5000, "kimg"),
    "a batch beyond 2^31": ("size: 20", "size: 2147483648", "train.batch_size"),
    "no images in a batch": ("size: 20", "size: 0", "train.batch_size"),
    "a negative batch": ("size: 20", "size: -20", "train.batch_size"),
    "half an image": ("size: 20", "size: 0.5", "train.batch_size"),
    "a batch that is true": ("size: 20", "size: true", "train.batch_size"),
    "a negative seed": ("[0, 1]", "[-1]", "seeds.0"),
    "a seed beyond 2^63": ("[0, 1]", "[9223372036854775808]", "seeds.0"),
    "a seed of 400 digits": ("[0, 1]", "[1" + "0" * 400 + "]", "seeds.0"),
    "no seeds": ("[0, 1]", "[]", "seeds"),
    "a seed twice": ("[0, 1]", "[1, 1]", "seeds"),
    "an octal seed": ("[0, 1]", "[0o17]", "seeds.0"),
    "a hexadecimal seed": ("[0, 1]", "[0x1F]", "seeds.0"),
    "a seed with underscores": ("[0, 1]", "[1_000]", "seeds.0"),
    "a sexagesimal number": ("kimg: 0.6", "kimg: 1:30", "train.kimg"),
    "a date": ("kimg: 0.6", "kimg: 2020-01-01", "train.kimg"),
    "yes for a question": ("Which average is best?", "true", "question"),
    "null for a section": ("data: {type: digits}", "data: null", "data"),
    "a list for a section": ("data: {type: digits}", "data: [type, digits]", "data"),
    "a missing section": ("data: {type: digits}\n", "", "data"),
    "a section of no type": ("data: {type: digits}", "data: {}", "data.type"),
    "an unknown type of data": ("{type: digits}", "{type: imagenet}", "data.type"),
    "a type that is a list": ("type: PGGAN", "type: [PGGAN]", "model.type"),
    "a type of 5,000 characters": ("type: PGGAN", "type: " + "P" * 5000, "model.type"),
    "a near miss of a field": ("batch_size: 20", "batchsize: 20", "batchsize"),
    "a near miss of a section": ("observers:", "observer:", "observer"),
    "a field with a space": ("batch_size: 20", '"batch_size ": 20', "batch_size "),
    "a field that is a line break": ("seeds:", '"a\\nb": 1\nseeds:', "'a\\nb'"),
    "a field of no name": ("seeds:", '"": 1\nseeds:', "is not a field"),
    "a number as a field": ("seeds:", "4: 1\nseeds:", "4: 4 is not a name"),
    "a size that is no power of two": ("out_scale: 8", "out_scale: 9", "model.out_scale"),
    "a size of 2^40": ("out_scale: 8", "out_scale: 1099511627776", "model.out_scale"),
    "a scale that is missing": ("{4: 0.2, 8: 0.4}", "{8: 0.4}", "nkimgs_per_scale"),
    "a scale too many": ("{4: 0.2, 8: 0.4}", "{4: 0.2, 8: 0.4, 16: 1}", "nkimgs_per_scale"),
    "a scale that is a word": ("{4: 0.2, 8: 0.4}", "{four: 0.2}", "nkimgs_per_scale"),
    "a metric that is not known": ("[fid]", "[fad]", "evaluate.metrics"),
    "a metric twice": ("[fid]", "[fid, fid]", "evaluate.metrics"),
    "a shadow with a slash": ("m0.1:", "a/b:", "a/b"),
    "a shadow that goes up": ("m0.1:", "..:", "observers.ema..."),
    "a shadow that is a path": ("m0.1:", "/etc/passwd:", "/etc/passwd"),
    "a shadow with a line break": ("m0.1:", '"a\\nb":', "'a\\nb'"),
    "a shadow with NUL": ("m0.1:", '"a\\0b":', "observers.ema"),
    "a shadow written right to left": ("m0.1:", '"\\u202eb":', "observers.ema"),
    "a shadow of 41 characters": ("m0.1:", "m" * 41 + ":", "observers.ema"),
    "a shadow called raw": ("m0.1:", "raw:", "observers.ema.raw"),
    "a shadow that is HTML": ("m0.1:", "<script>:", "<script>"),
    "a shadow that is a number": ("m0.1:", "3:", "observers.ema.3"),
    "momentum and decay": ("{momentum: 0.1}", "{momentum: 0.1, decay: 0.9}", "interp_cfg"),
    "a momentum that rounds to 1": ("{momentum: 0.1}", "{decay: 1e-300}", "interp_cfg"),
    "a hook of no type": ("seeds:", "hooks: [{}]\nseeds:", "hooks.0.type"),
    "a hook that is a word": ("seeds:", "hooks: [x]\nseeds:", "hooks.0"),
    "a hook by its Python path": ("seeds:", "hooks: [{type: os.system}]\nseeds:", "hooks.0.type"),
    "a hook that is a number": ("seeds:", "hooks: [{type: 3}]\nseeds:", "hooks.0.type"),
    "a hook's wrong argument": (
        *("seeds:", "hooks: [{type: VisualizationHook, interval: often}]\nseeds:"),
        "hooks.0.interval",
    ),
    "a hook's numbered argument": (
        *("seeds:", "hooks: [{type: VisualizationHook, 3: x, y: 1}]\nseeds:"),
        "hooks.0",
    ),
    "an entry's numbered word": (
        *("seeds:", "hooks: [{type: VisualizationHook, vis_kwargs_list: {3: x}}]\nseeds:"),
        "hooks.0",
    ),
    "a picture that leaves the folder": (
        "seeds:",
        "hooks: [{type: VisualizationHook, vis_kwargs_list: {type: GAN, name: ../../x}}]\nseeds:",
        "hooks.0.vis_kwargs_list.name",
    ),
    "a file's name that is a program": (
        "seeds:",
        "hooks: [{type: PickleDataHook, output_dir: a, data_name_list: [x], "
        "filename_tmpl: '{0.__class__}'}]\nseeds:",
        "hooks.0.filename_tmpl",
    ),
    "a factor of nothing": ("seeds:", "factors: {train.kimgs: {a: 1}}\nseeds:", "factors"),
    "a factor that is a path": ("seeds:", "factors: {../x: {a: 1}}\nseeds:", "factors"),
    "a level that is a path": ("seeds:", "factors: {train.kimg: {../a: 1}}\nseeds:", "factors"),
    "levels that multiply": (
        "seeds:",
        "factors:\n"
        + "".join(
            f"  train.optimizer.{name}: {{{', '.join(f'l{i}: 0.{i}1' for i in range(10))}}}\n"
            for name in ("lr", "eps", "betas.0", "betas.1")
        )
        + "  train.kimg: {"
        + ", ".join(f"l{i}: 0.{i + 3}1" for i in range(7))
        + "}\nseeds:",
        "factors",
    ),
    "levels with names too long for a folder": (
        "seeds:",
        "factors:\n"
        + "".join(
            f"  train.{name}: {{{'l' * 40}: {value}}}\n"
            for name, value in (
                *(("optimizer.lr", 0.1), ("optimizer.eps", 0.1), ("loss.penalty_weight", 1)),
                *(("loss.drift_weight", 1), ("log_every_kimg", 0.1)),
            )
        )
        + "seeds:",
        "factors",
    ),
    "seeds beyond counting": (
        "[0, 1]",
        f"{[*range(5_001)]}\nfactors: {{train.kimg: {{"
        + ", ".join(f"l{i}: 0.6{i:02}" for i in range(20))
        + "}}",
        "factors",
    ),
    "a rule that watches nothing": (
        *("seeds:", "factors: {reduce_lr: {a: {val_metric: x, scheduler: {}}}}\nseeds:"),
        "val_metric",
    ),
    "an image of another format's name": (
        *("{type: digits}", '{type: image, root: "a\\nb.png"}'),
        "data.type",
    ),
}


@pytest.mark.parametrize("case", TEXTS)
def test_a_file_that_is_no_spec(case, ledger, tmp_path):
    path = write(tmp_path, TEXTS[case])
    hold(ledger, "spec", case, refused(["plan", path], tmp_path))


@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_builds_nothing(tag, ledger, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where a canary would appear
    path = write(tmp_path, TEXT.replace("{type: digits}", tag))
    hold(ledger, "spec", f"a tag: {tag}", refused(["plan", path], tmp_path))


@pytest.mark.parametrize("case", CHANGES)
@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_field_that_cannot_be_meant(case, command, ledger, whole, tmp_path):
    if command == "run" and not whole and case != "no seeds":
        pytest.skip("one command of several in a sample")
    old, new, named = CHANGES[case]
    assert old in TEXT
    path = write(tmp_path, TEXT.replace(old, new, 1))
    folders = ["--runs", tmp_path / "runs", "--results", tmp_path / "results"]
    answer = refused([command, path, *folders], tmp_path, [named])
    hold(ledger, "spec", f"{command}: {case}", answer)


@pytest.mark.parametrize("text", SPECS, ids=lambda text: text.split("\n", 1)[0])
def test_the_specs_that_are_broken_here_are_sound(text, tmp_path, capsys):
    from harness.cli import main

    assert main(["plan", str(write(tmp_path, text))]) == 0


@pytest.fixture
def special(tmp_path):
    """Return a path of each kind that is no plain file."""
    os.mkfifo(tmp_path / "fifo.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "dangling.yaml").symlink_to("nowhere.yaml")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.getcwd()
        os.chdir(tmp_path)  # a socket's path must be short
        listening.bind("socket.yaml")
        os.chdir(here)
        yield tmp_path


@pytest.mark.parametrize(
    "name",
    [
        *("fifo.yaml", "folder.yaml", "dangling.yaml", "loop.yaml", "socket.yaml", "missing.yaml"),
        *("missing/x.yaml", "n" * 300 + ".yaml", "a\nb.yaml", "a\x1b[31m.yaml", "a\udcff.yaml"),
        *("", ".", "..", "folder.yaml/x.yaml", "a\x00b.yaml"),
    ],
)
def test_a_path_that_is_no_file(name, ledger, special):
    shown = name.encode("unicode_escape").decode()[:40] or "nothing"
    answer = refused(["plan", special / name], special)
    hold(ledger, "spec", f"the path of a spec: {shown}", answer)


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "/dev/full", "/proc/self/mem", "/"])
def test_a_path_of_the_system_s(path, ledger, tmp_path):
    hold(ledger, "spec", f"the path of a spec: {path}", refused(["plan", path], tmp_path, [path]))


@pytest.mark.parametrize("name", ["a\nb.yaml", "a\x1b[31m.yaml", "a\udcff.yaml", "..yaml"])
def test_a_sound_spec_of_an_unspeakable_name(name, ledger, tmp_path):
    path = write(tmp_path).rename(tmp_path / name)
    shown = name.encode("unicode_escape").decode()
    hold(ledger, "spec", f"a spec called {shown}", refused(["plan", path], tmp_path))


TIERS = {
    "unknown": ("huge", "{}", "tier 'huge'"),
    "a near miss": ("gup", "{}", "tier 'gup'"),
    "a number": ("gpu", "3", "tiers.gpu"),
    "a list": ("gpu", "[1]", "tiers.gpu"),
    "a missing file": ("gpu", "other.yaml", "other.yaml"),
    "a folder": ("gpu", ".", "cannot be read"),
    "a FIFO": ("gpu", "fifo.yaml", "fifo.yaml"),
    "a path with NUL": ("gpu", '"a\\0b"', "a\\x00b"),
    "a path of 5,000 characters": ("gpu", "x" * 5000, "FOLDER"),
    "back to itself": ("gpu", "question.yaml\n  quick: question.yaml", "leads back"),
    "a wrong field": ("gpu", "{train: {kimg: -1}}", "train.kimg"),
    "an unknown section": ("gpu", "{trian: {}}", "trian"),
    "a name that goes up": ("../../up", "{}\n  ../../up: {}", "../../up"),
    "a name that is a path": ("/up", "{}\n  /up: {}", "/up"),
    "a name with a line break": ("a\nb", '{}\n  "a\\nb": {}', "a\\nb"),
    "no name": ("", '{}\n  "": {}', "''"),
}


@pytest.mark.parametrize("case", TIERS)
def test_a_tier_that_cannot_be_meant(case, ledger, special):
    tier, value, named = TIERS[case]
    path = write(special, TEXT.replace("\n    train: {kimg: 2}", f" {value}"))
    answer = refused(["plan", path, "--tier", tier], special, [named])
    hold(ledger, "spec", f"a tier: {case}", answer)


def test_tiers_that_lead_in_a_circle(ledger, tmp_path):
    for name, other in (("a", "b"), ("b", "a")):
        text = TEXT.replace("\n    train: {kimg: 2}", f" {other}.yaml\n  quick: {other}.yaml")
        (tmp_path / f"{name}.yaml").write_text(text)
    answer = refused(["plan", tmp_path / "a.yaml", "--tier", "gpu"], tmp_path)
    hold(ledger, "spec", "a tier: files that name each other", answer)


OVERRIDES = (
    *("=1", "a.b=", "train=5", "seeds[0]=1", "train.kimg", "train..kimg=1", ".train=1", "=", "=="),
    *("train.kimg=[", "train.kimg=*a", "train.kimg=!!python/name:os.system", "train.kimg=a: b: c"),
    *("train.kimg=\x00", "train.kimg=\n", "train.kimg=\udcff", "a\nb=1", "seeds.7=1", "seeds.x=1"),
    *("question=3", "train.kimg.x=1", "../x=1", "observers.ema.a/b={}", "x" * 9000),
    *("train.kimg=" + "9" * 9000, "train.kimg=" + "[" * 9000, "y" * 9000 + "=1", "model=null"),
    *("train.optimizer.lr=yes", "seeds=[1,1]", "hooks.0=x", "question='\\ud800"),
    'question="\\ud800"',
)


@pytest.mark.parametrize("override", OVERRIDES, ids=range(len(OVERRIDES)))
def test_an_override_that_cannot_be_meant(override, ledger, tmp_path):
    shown = override.encode("unicode_escape").decode()
    answer = refused(["plan", write(tmp_path), override], tmp_path, ["command line: ", "NUL"])
    hold(ledger, "spec", f"an override: {shown[:40]}", answer)


def test_a_folder_with_broken_specs_is_listed_and_each_is_named(ledger, special):
    write(special, TEXT)
    (special / "broken.yaml").write_text(GROWING.replace("kimg: 0.8", "kimg: .nan"))
    (special / "torn.yaml").write_bytes(TEXT.encode()[:100])
    answer = refused(["list", special], special)
    hold(ledger, "spec", "a folder of specs, some no files", answer)
    for name in ("broken", "torn", "fifo", "dangling", "loop", "socket", "folder"):
        assert any(f"FOLDER/{name}.yaml" in line for line in answer.lines), name
