"""What the quickstart prints: steps, lines about leads, and whether all of it was as promised."""

import contextlib
import os
import sys
import time

from . import processes

WIDTH_OF_STEP = 82


class Broken(Exception):
    """The tour cannot go on.  @log: the log that says why."""

    def __init__(self, text, log=None):
        super().__init__(text)
        self.log = log


class Screen:
    def __init__(self):
        self.colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self.checked = 0
        self.faults = []
        self.logs = []
        self._open = None  # a step whose line is not ended yet

    def plain(self, text):
        print(text, flush=True)

    def _paint(self, text, code):
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    def title(self, text):
        self.plain("\n" + self._paint(text, "1"))

    def say(self, text):
        self.plain(f"  {text}".rstrip())

    def lines(self, lines):
        for line in lines:
            self.plain(f"    {line}".rstrip())

    @contextlib.contextmanager
    def step(self, what):
        """One line of progress: its name at once, how long it took when it is done."""
        began = time.monotonic()
        self._open = what
        print(f"  {what + ' ':.<{WIDTH_OF_STEP}} ", end="", flush=True)
        yield
        self.plain(f"{time.monotonic() - began:4.1f} s")
        self._open = None

    # --- leads

    def lead_head(self):
        self.plain(self._paint(self._lead("who", "connection", "lead", "what became of it", "calls"), "4"))

    def lead(self, one, became, calls, failed=False):
        line = self._lead(one.who or "-", one.how or "-", one.asked, became, calls)
        self.plain(self._paint(line, "31") if failed else line)

    @staticmethod
    def _lead(who, how, asked, became, calls):
        return f"  {who:<6} {how:<21} {asked:<19} {became:<51} {calls:>5}"

    # --- what was promised

    def check(self, claim, true, otherwise):
        """Notes whether something shown is as promised; @otherwise says what it was instead."""
        self.checked += 1
        if not true:
            self.faults.append(f"{claim}: {otherwise}")

    def note_log(self, log):
        if log not in self.logs:
            self.logs.append(log)

    def verdict(self):
        if not self.faults:
            self.say(self._paint(f"All {self.checked} checks of what was shown hold.", "32"))
            return
        for log in self.logs:
            self.plain(processes.tail(log, 20))
        self.plain("")
        for fault in self.faults:
            self.say(self._paint(f"NOT AS PROMISED: {fault}", "31"))

    def broken(self, trouble, log):
        """The tour has ended early.  @log: what to show when @trouble names no log."""
        if self._open:
            self.plain("FAILED")
        known = isinstance(trouble, (Broken, AssertionError))
        text = str(trouble) if known else f"{type(trouble).__name__}: {trouble}"
        print(f"quickstart: {self._open + ': ' if self._open else ''}{text}", file=sys.stderr)
        log = getattr(trouble, "log", None) or log
        if log.exists() and f"--- {log.name}" not in text:
            print(processes.tail(log, 30), file=sys.stderr)
        for fault in self.faults:
            print(f"  NOT AS PROMISED: {fault}", file=sys.stderr)

    def interrupted(self):
        self.plain(("\n" if self._open else "") + "quickstart: stopped; nothing is left behind")

    def end(self, took_s=None):
        """The exit code.  @took_s: None when the verdict was printed before."""
        if took_s is not None:
            self.verdict()
        if not self.faults:
            self.say(f"Done{f' in {took_s:.0f} s' if took_s is not None else ''}; nothing is left behind.")
        return 1 if self.faults else 0
