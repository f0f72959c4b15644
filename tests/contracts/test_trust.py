"""What reads files can run nothing of them: the calls that could are at named places alone."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "harness"
NEVER = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load"),
    *("pickle.loads", "pickle.Unpickler", "joblib.load", "marshal.loads", "shelve.open"),
    *("yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load"),
    *("shutil.unpack_archive", "torch.hub.load", "torch.jit.load"),
}
METHODS = {"extractall", "extract"}
"""Of archives: whatever the object."""
NEEDED = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False)}
"""Calls that are safe with one argument, given in so many words."""
ALLOWED = {
    ("data/prepare.py", "np.load"): "a file of the cache, whose header and CRC-32 were checked",
    ("conformance/factory.py", "import_module"): "MODULE:MAKE_EMA, which the user names to run it",
    ("bench/suite.py", "import_module"): "one of the package's own, by a list",
    ("scale/suite.py", "import_module"): "one of the package's own, by a list",
    ("doctor/libraries.py", "import_module"): "a library that the harness imports, by a list",
    ("registry.py", "importlib.import_module"): "the package's own modules, by a list",
}


def dotted(node):
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def dangers(text):
    """Yield the calls of a module that could run what a file says."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        owner, _, last = name.rpartition(".")
        given = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
        argument, value = NEEDED.get(name, ("", None))
        if (
            name in NEVER
            or last == "import_module"
            or (owner and last in METHODS)
            or (argument and given.get(argument) is not value)
        ):
            yield name
        elif given.get("shell"):
            yield f"{name}(shell=True)"


def found():
    return {
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in PACKAGE.rglob("*.py")
        for name in dangers(path.read_text())
    }


def test_nothing_that_could_run_a_file_is_called_but_at_named_places():
    assert found() == {*ALLOWED}


def test_pickles_are_read_by_one_class_that_builds_numbers_alone():
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and "pickle.Unpickler" in map(dotted, node.bases)
    }
    assert users == {"files/pickles.py"}


@pytest.mark.parametrize(
    "code",
    [
        "eval('1')",
        "pickle.loads(b'')",
        "yaml.load(text, Loader=yaml.Loader)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "archive.extractall(path)",
        "subprocess.run('ls', shell=True)",
        "os.system('ls')",
    ],
)
def test_each_of_them_would_be_found(code):
    assert [*dangers(code)]
