"""Processes that end with whoever started them: by `with`, and by the kernel even where this process is killed."""

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

STOP_SECONDS = 10


class Processes:
    """Started processes, each with a log of its own in `folder`; stopped in reverse order at the end of `with`."""

    def __init__(self, folder):
        self.folder = folder
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.running):
            if process.poll() is None:
                # One that was stopped would not hear of its end.
                process.send_signal(signal.SIGCONT)
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in reversed(self.running):
            try:
                process.wait(max(0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(self, name, *command):
        """Starts `command`, with nothing of the caller's jeton in its environment."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("JETON_")}
        if shutil.which("setpriv"):
            command = ("setpriv", "--pdeathsig", "KILL", *command)
        with open(self.folder / f"{name}.log", "wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        process.name = name
        self.running.append(process)
        return process

    def check(self, process, may_end=False):
        """Fails, with the end of its log, if a process has failed, or has ended that should not have."""
        if process.poll() is not None and not (may_end and process.returncode == 0):
            log = (self.folder / f"{process.name}.log").read_text(errors="replace")
            raise SystemExit(f"{process.name} ended with {process.returncode}:\n{log[-2000:]}")

    def until(self, process, what, ready, seconds=20):
        """Waits until `ready()`, and fails if `process` ends before."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.check(process)
            if time.monotonic() > deadline:
                raise SystemExit(f"{process.name}: no {what} within {seconds} s")
            time.sleep(0.05)


def free_port():
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port):
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers(url):
    """Whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False
