"""`make interop`: do clients that others wrote get on with jeton, and where does another server answer otherwise?

Real services with TLS, on memory and on Redis, with made-up certificates; what is written lies in target/interop. Everything listens on
loopback and is stopped at the end.
"""

import os
import pathlib
import shutil
import signal
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Processes and Redis are started as `make observe` starts them.
sys.path.append(str(ROOT / "scripts" / "observe"))

import assertions
import differential
import service
import sides
import with_node
import with_python
from processes import Processes
from report import FAILED, OK, Report
from scene import Scene
from services import start_redis

FOLDER = ROOT / "target" / "interop" / "run"
DIFFERENCES, README = ROOT / "docs" / "differences.md", ROOT / "README.md"
NODE = ROOT / "target" / "interop" / "node"
PROGRAM = ROOT / "target" / "debug" / "jeton"


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    report, package = Report(), with_node.Package(NODE)
    with Processes(FOLDER) as processes:
        scene = Scene.set(FOLDER)
        service.make_keys(PROGRAM, FOLDER)
        _, redis = start_redis(processes, os.environ["REDIS_SERVER"])
        stores = {"memory": "memory:", "redis": redis}
        for nonces in (False, True):
            for column, store in stores.items():
                speak(processes, report, package, scene, service.Service(column, store, nonces))
        asked, found = differential.compare(sides.start_jeton(processes, PROGRAM), sides.start_peer(processes, NODE))
    print(report.table())
    print(f"{report.count(OK)} ok, {report.count(FAILED)} failed")
    peer = package.version("oidc-provider")
    print(f"{asked} requests sent to jeton and to {peer}: {len(found)} differences")
    faults = report.faults + differential.judge(asked, found, DIFFERENCES.read_text(), README.read_text(), peer)
    for fault in faults:
        print(f"failed: {fault}")
    sys.exit(1 if faults else 0)


def speak(processes: Processes, report: Report, package: with_node.Package, scene: Scene, jeton: service.Service):
    """Lets every library speak to one service."""
    jeton.start(processes, PROGRAM)
    jeton.until_it_remembers(processes, next(client for client in scene.clients if client.alg == "ES256"))
    run = with_python.Run(report, scene, jeton)
    if jeton.nonces:
        run.proofs()
    else:
        run.everything()
    with_node.run(report, package, scene, jeton)
    if not jeton.nonces:
        assertions.Run(report, package, scene, jeton).everything()


main()
