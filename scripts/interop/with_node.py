"""npm's openid-client, in a process of its own: `node/clients.mjs` does what it can, and prints how it went."""

import json
import pathlib
import subprocess

from report import FAILED, OK, Line, Report
from scene import ALGORITHMS, Scene
from service import Service

PATIENCE_SECONDS = 300


class Package:
    """The installed packages and programs of node/."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder

    def version(self, name: str) -> str:
        told = json.loads((self.folder / "node_modules" / name / "package.json").read_text())
        return f"{name} {told['version']}"

    def lines(self, program: str, *arguments: str) -> list[dict]:
        """Runs a program to its end, and reads what it printed: a line of JSON for each thing that it did."""
        command = ["node", str(self.folder / program), *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        if ended.returncode != 0:
            raise SystemExit(f"{program} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
        return [json.loads(line) for line in ended.stdout.splitlines()]


def run(report: Report, package: Package, scene: Scene, service: Service):
    """All of it, with one service; with nonces no more than what they matter for."""
    file = scene.folder / f"{service.name}.json"
    scene.write(file, issuer=service.issuer, nonces=service.nonces, algorithms=list(ALGORITHMS))
    library = package.version("openid-client")
    for told in package.lines("clients.mjs", str(file)):
        why = told.get("failure")
        line = Line(library, told["method"], told["what"])
        report.note(service.column, line, FAILED if why else OK, why or "")
