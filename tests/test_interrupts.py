"""Signals of a process: what they raise, and when; and the end of a process left alone."""

import os
import signal
import subprocess
import sys
import time

import pytest

from harness.interrupts import Interrupts

PAIR = """
import multiprocessing, os, sys, time
from harness.interrupts import Interrupts, end_with_starter

def wait(answer):
    Interrupts().install()
    end_with_starter()
    try:
        print(os.getpid(), flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("ended", flush=True)

if __name__ == "__main__":
    process = multiprocessing.get_context("forkserver").Process(target=wait, args=(None,))
    process.start()
    process.join()
"""


@pytest.fixture
def interrupts():
    before = [(number, signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT)]
    made = Interrupts()
    made.install()
    yield made
    for number, handler in before:
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_raises_at_once_where_none_is_held(interrupts, number):
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)
    assert interrupts.requested


def test_a_held_signal_is_noted_and_raised_where_it_may_be(interrupts):
    with interrupts.held():
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.requested
        with pytest.raises(KeyboardInterrupt), interrupts.at_once():
            pytest.fail("it was noted before")


def test_a_second_signal_does_not_cut_short_what_is_done_about_the_first(interrupts):
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)


def test_ignored_signals_do_nothing(interrupts):
    interrupts.ignore()
    os.kill(os.getpid(), signal.SIGTERM)
    assert not interrupts.requested


def test_a_process_whose_starter_is_killed_is_interrupted(tmp_path):
    script = tmp_path / "pair.py"
    script.write_text(PAIR)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout.readline().strip().isdecimal()
        starter.kill()
        begin = time.monotonic()
        assert starter.stdout.readline() == "ended\n"
        assert time.monotonic() - begin < 10
