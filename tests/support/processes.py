"""Starts and ends processes: exactly those, by their pid, and none of them outlives us."""

import contextlib
import ctypes
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Late(AssertionError):
    """A condition that did not come true in time."""


def wait_until(condition, timeout_s=10.0, what="the condition", every_s=0.01):
    """The first true value of condition(); raises Late after timeout_s."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise Late(f"waited {timeout_s:g} s in vain for {what}")
        time.sleep(every_s)


_given_out = set()


def free_port():
    """A TCP port of 127.0.0.1 that nobody listens on, never the same twice."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in _given_out:
            _given_out.add(port)
            return port


@contextlib.contextmanager
def temporary_folder(prefix="onbehalf-"):
    """A folder that everybody may enter (PostgreSQL runs as another user), removed at the end."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def service_user(name):
    """The account to run a service as that refuses root: None when we are not root ourselves."""
    return pwd.getpwnam(name) if os.geteuid() == 0 else None


def as_user(account):
    """The arguments that make subprocess run as @account (None: as we are)."""
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


class Process:
    """One started program.  Its stdout and stderr go to @log.

    Start it from the main thread: the kernel ends it when the thread that started it ends.
    """

    def __init__(self, argv, log, env=None, cwd=None, account=None, death_signal=signal.SIGKILL):
        self.argv = [str(word) for word in argv]
        self.log = pathlib.Path(log)
        parent = os.getpid()

        def follow_the_parent():
            _libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

        with open(self.log, "ab") as out:
            self.popen = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,  # Ctrl-C is ours to handle
                preexec_fn=follow_the_parent,
                **as_user(account),
            )

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def send(self, number):
        if self.running():
            self.popen.send_signal(number)

    def wait(self, timeout_s=15.0):
        """The exit code (negative: the signal); raises Late when it still runs."""
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise Late(f"{self.argv[0]} did not end within {timeout_s:g} s\n{self.tail()}") from None

    def stop(self, number=signal.SIGTERM, timeout_s=15.0):
        """Asks it to end, then makes it; the exit code."""
        self.send(number)
        try:
            return self.wait(timeout_s)
        except Late:
            self.kill()
            raise

    def kill(self):
        """kill -9, and waits until it is gone."""
        self.send(signal.SIGKILL)
        return self.popen.wait()

    def freeze(self):
        self.send(signal.SIGSTOP)

    def thaw(self):
        self.send(signal.SIGCONT)

    def wait_ready(self, ready, timeout_s, what):
        """Waits for ready(); says what the process wrote when it ended or was too slow."""

        def look():
            if not self.running():
                raise AssertionError(f"{what} ended with {self.popen.returncode}\n{self.tail()}")
            return ready()

        try:
            return wait_until(look, timeout_s, what)
        except Late as late:
            raise Late(f"{late}\n{self.tail()}") from None

    def tail(self, lines=40):
        return tail(self.log, lines)


def tail(path, lines=40):
    """The last lines of a log, with its name; for messages to people."""
    path = pathlib.Path(path)
    text = path.read_text(errors="replace").splitlines() if path.exists() else []
    return "\n".join([f"--- {path.name}"] + text[-lines:])


def listening(port):
    """True when something accepts connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def run(argv, env=None, account=None, timeout_s=60.0, check=True):
    """Runs to the end; the CompletedProcess with both outputs as text."""
    done = subprocess.run(
        [str(word) for word in argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
        timeout=timeout_s,
        check=False,
        **as_user(account),
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{argv[0]} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done
