"""Bad files, given to what reads them, and what has to hold of the answer."""

import traceback
from dataclasses import replace
from pathlib import Path

from bad_input import Answer, _wrong_code, _wrong_files, _wrong_lines, contents
from fault_ledger import Ledger

from harness.errors import HarnessError


def told(action, folder: Path, names=("FOLDER",)) -> Answer:
    """Do what raises a HarnessError, as a command's line would be."""
    before, code, text = contents(folder), 0, ""
    try:
        action()
    except HarnessError as error:
        code = error.exit_code
        text = "".join(f"harness: {line}\n" for line in error.lines)
    except Exception:
        code, text = None, traceback.format_exc()
    lines = tuple(text.replace(str(folder), "FOLDER").splitlines())
    after = contents(folder)
    wrong = [*_wrong_code(code, text), *_wrong_lines(lines, names), *_wrong_files(before, after)]
    return Answer(code, lines, tuple(wrong))


def placed(answer: Answer, folder: Path) -> Answer:
    """Return an answer that speaks of a folder around its own."""
    return replace(answer, lines=tuple(x.replace(str(folder), "FOLDER") for x in answer.lines))


def harmless(ledger: Ledger, kind: str, case: str, answer: Answer, found_by="by hand") -> None:
    """Leave the row of a case that is read as if nothing were odd, and leaves nothing behind."""
    wrong = either(answer).wrong
    word = "read, harmless" if answer.code == 0 and not wrong else "WRONG"
    ledger.add("inputs", kind=kind, case=case, found_by=found_by, answer=word, message="")
    assert answer.code == 0, "\n".join([case, *answer.lines])
    assert not wrong, "\n".join([case, *wrong])


def either(answer: Answer) -> Answer:
    """Return the answer to what may still be sound: to be refused clearly or read, never worse."""
    if answer.code != 0:
        return answer
    said = ("exit code 0", "nothing was said", "names none")
    wrong = tuple(part for part in answer.wrong if not part.startswith(said))
    return replace(answer, wrong=wrong)
